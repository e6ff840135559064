# METADATA
# title: Who may call which tool
# description: A role must list the tool, and the credential must carry the scopes the tool asks for.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.access

# METADATA
# title: A role of the client lists the tool
# description: The role names the tool, or "*" for every tool.
# custom:
#   reason: access.role
#   controls: [C02]
allow contains {"code": "access.role", "params": {"role": role}} if {
	some role in input.client.roles
	some tool in data.settings.access.roles[role].tools
	tool in {input.tool.name, "*"}
}

# METADATA
# title: No role of the client lists the tool
# description: The default. A call that nothing refuses still needs a rule that allows it.
# custom:
#   reason: access.no_rule
#   controls: [C02]
no_rule := [{"code": "access.no_rule", "params": {"tool": input.tool.name}}]

# METADATA
# title: The credential lacks a scope the tool needs
# description: Answered with HTTP 403 insufficient_scope, so that a client can ask for the scope.
# custom:
#   reason: access.scope_missing
#   controls: [C02]
findings contains {
	"grade": "deny",
	"reason": {"code": "access.scope_missing", "params": {"scope": scope}},
	"obligations": [{"type": "require_scope", "scope": scope}],
} if {
	some scope in data.settings.access.scopes[input.tool.name]
	not scope in input.client.scopes
}

# METADATA
# title: The credential has expired
# description: Checked again here because a verified token may be answered from a cache.
# custom:
#   reason: access.credential_expired
#   controls: [C01]
findings contains {
	"grade": "deny",
	"reason": {"code": "access.credential_expired", "params": {}},
	"obligations": [],
} if {
	input.client.auth.expires_in_seconds != null
	input.client.auth.expires_in_seconds <= 0
}

# METADATA
# title: Parts of the result that only some roles may see
# description: '"*" in a pointer stands for every item of a list.'
# custom:
#   controls: [C02]
masks contains {"type": "mask", "pointers": mask.pointers} if {
	mask := data.settings.access.masks[input.tool.name]
	every role in mask.except_roles { not role in input.client.roles }
}
