# METADATA
# title: Who may call which tool
# description: A role of the client must list the tool, and the credential must carry the scopes that the tool needs.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.access

# METADATA
# title: A role of the client lists the tool
# description: The role lists the tool by name, or lists "*", which stands for every tool.
# custom:
#   reason: access.role
#   controls: [C02]
allow contains {"code": "access.role", "params": {"role": role}} if {
	some role in input.client.roles
	lists(role)
}

lists(role) if data.settings.merged.tools[role][input.tool.name]

lists(role) if data.settings.merged.tools[role]["*"]

# METADATA
# title: No role of the client lists the tool
# description: The default. Even if no rule denies the call, it is denied unless a role lists its tool.
# custom:
#   reason: access.no_rule
#   controls: [C02]
no_rule := [{"code": "access.no_rule", "params": {"tool": input.tool.name}}]

# METADATA
# title: The credential lacks a scope the tool needs
# description: The call is answered with HTTP 403 insufficient_scope, so that the client can ask for the scope.
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
# title: The role may not be used from this network
# description: >-
#   The client has a role that may be used from some networks only (access.networks), and the call comes
#   from another one. The place is refused for itself: it does not count as a second place of the client.
# custom:
#   reason: access.wrong_network
#   controls: [C02]
#   own_place: true
findings contains {
	"grade": "deny",
	"reason": {"code": "access.wrong_network", "params": {"role": role}},
	"obligations": [],
} if {
	some role in out_of_place
}

# Roles of the client that may not be used from where the call comes from.
out_of_place contains role if {
	some role in input.client.roles
	networks := data.settings.access.networks[role]
	every network in networks { not net.cidr_contains(network, input.client.ip) }
}

# METADATA
# title: The credential has expired
# description: >-
#   The connector caches verified access tokens. The expiry is checked again for each call, so that
#   no access token is accepted from the cache after it has expired.
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
# description: >-
#   The connector blanks these parts for a client that has none of the roles. "*" in a pointer
#   stands for every item of a list.
# custom:
#   controls: [C02]
masks contains {"type": "mask", "pointers": mask.pointers} if {
	some mask in applying
	not mask.required
}

# METADATA
# title: Parts of the result that must be there to be hidden
# description: >-
#   As above, and a result in which such a part is missing is withheld, because the pointer may be
#   misspelt or the application may have renamed the field.
# custom:
#   controls: [C02]
masks contains {"type": "mask", "pointers": mask.pointers, "required": true} if {
	some mask in applying
	mask.required
}

applying contains mask if {
	mask := data.settings.access.masks[input.tool.name]
	every role in mask.except_roles { not role in input.client.roles }
}
