package site.every_call

# METADATA
# title: A session serves one call
# description: >-
#   Each call of a tool of this kind gets a backend session of its own.
# custom:
#   reason: every_call.used
#   controls: [C01]
findings contains {"grade": "rotate", "reason": {"code": "every_call.used", "params": {}}, "obligations": []} if {
	input.tool.effect == "destructive"
	input.session.token_uses > 0
}
