package site.first_use

# METADATA
# title: The first use of a tool in 90 days
# description: >-
#   An agent that begins to use a tool may have been talked into it. The call is denied until it is
#   repeated with a confirming argument.
# custom:
#   reason: first_use.unconfirmed
#   controls: [C03]
findings contains {"grade": "deny", "reason": {"code": "first_use.unconfirmed", "params": {"tool": input.tool.name}}, "obligations": []} if {
	input.tool.effect == "destructive"
	input.usage.tool.calls_90d == 0
	not input.tool.arguments.confirm == true
}
