package site.night

# METADATA
# title: A write at night
# description: >-
#   By the clock of UTC. For local time see office_hours.
# custom:
#   reason: night.closed
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "night.closed", "params": {"hour": input.time.hour}}, "obligations": []} if {
	input.tool.effect == "write"
	input.time.hour < 5
}
