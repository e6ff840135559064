# METADATA
# title: Which tools a client sees
# description: >-
#   Answers tools/list, and decides nothing: a call is decided by data.sallyport.decision, whether its tool
#   was listed or not. Here the whole list is asked about at once.
# schemas:
#   - input: schema.listing
#   - data.settings: schema.settings
package sallyport.listing

# METADATA
# title: A role of the client lists the tool
# description: >-
#   The same table as access.role. A tool that asks for a scope the client has not stays in the list unless
#   access.hide_without_scope says otherwise: it can ask for the scope when the call is answered 403.
visible contains tool.name if {
	some tool in input.tools
	some role in input.client.roles
	some listed in data.settings.access.roles[role].tools
	listed in {tool.name, "*"}
	not hidden(tool.name)
}

hidden(name) if {
	data.settings.access.hide_without_scope
	some scope in data.settings.access.scopes[name]
	not scope in input.client.scopes
}
