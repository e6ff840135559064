package site.break_glass

# METADATA
# title: Called in an emergency
# description: >-
#   Whoever is on call may use a tool that no role lists, and names the incident. It is let pass,
#   observed and told at once.
# custom:
#   reason: break_glass.used
#   controls: [C03]
allow contains {"code": "break_glass.used", "params": {"incident": input.tool.arguments.incident}} if emergency

# METADATA
# title: An emergency was declared
# description: >-
#   The finding lets the call pass, and stands in the decision as observed.
# custom:
#   reason: break_glass.declared
#   controls: [C03]
findings contains {"grade": "allow", "reason": {"code": "break_glass.declared", "params": {}}, "obligations": [{"type": "alert", "severity": "high"}]} if emergency

emergency if {
	"on_call" in input.client.roles
	input.tool.arguments.incident
}
