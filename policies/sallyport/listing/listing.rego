# METADATA
# title: Which tools a client sees
# description: >-
#   Selects the tools that tools/list shows to a client. The input has all tools at once. The list has no
#   effect on calls: data.sallyport.decision decides on each call, whether its tool was listed or not.
# schemas:
#   - input: schema.listing
#   - data.settings: schema.settings
package sallyport.listing

# METADATA
# title: A role of the client lists the tool
# description: >-
#   Reads the same table of roles as access.role. A tool that needs a scope the client does not have is listed
#   all the same, unless access.hide_without_scope is set: when its call is answered with HTTP 403, the client
#   can ask for the scope.
visible contains tool.name if {
	some tool in input.tools
	some role in input.client.roles
	lists(role, tool.name)
	not hidden(tool.name)
	not frozen(tool)
}

lists(role, name) if data.settings.merged.tools[role][name]

lists(role, _) if data.settings.merged.tools[role]["*"]

hidden(name) if {
	data.settings.access.hide_without_scope
	some scope in data.settings.access.scopes[name]
	not scope in input.client.scopes
}

# What is frozen for the client altogether, and what is frozen of this tool.
frozen(_) if {
	some each in input.freeze
	each.scope in {"all", "role", "client", "subject"}
}

frozen(tool) if {
	some each in input.freeze
	[each.scope, each.name] in {["tool", tool.name], ["backend", tool.backend]}
}
