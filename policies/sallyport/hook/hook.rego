# METADATA
# title: What the rules of the site say
# description: >-
#   Every package "site.<name>" takes part through this package, without an edit of a shipped file. It
#   may have five sets: findings (as the shipped ones), allow (reasons why the call may go on), masks
#   (parts of a result to blank, and the roles that are spared), limits (how many items of a list are
#   given, and the roles that are spared) and visible (names of tools that tools/list leaves out).
package sallyport.hook

import data.sallyport.shape

findings contains finding if some finding in data.site[_].findings

allow contains reason if some reason in data.site[_].allow

hidden contains name if some name in data.site[_].visible

obligations contains {"type": "mask", "pointers": mask.pointers} if {
	some mask in data.site[_].masks
	shape.is_mask(mask)
	applies(mask)
	not mask.required
}

obligations contains {"type": "mask", "pointers": mask.pointers, "required": true} if {
	some mask in data.site[_].masks
	shape.is_mask(mask)
	applies(mask)
	mask.required
}

obligations contains {"type": "limit_result", "pointer": limit.pointer, "items": limit.items} if {
	some limit in data.site[_].limits
	shape.is_limit(limit)
	applies(limit)
}

# Whether the client has none of the roles that are spared.
applies(entry) if {
	every role in entry.except_roles { not role in input.client.roles }
}
