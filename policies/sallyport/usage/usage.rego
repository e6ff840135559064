# METADATA
# title: How much one client may do
# description: >-
#   Limits on the calls of one client in the last minute and hour, this call included. Every call
#   counts, also one that was denied or refused.
# schemas:
#   - input: schema.input
package sallyport.usage

import data.sallyport.settings

# METADATA
# title: Too many calls in a minute
# description: Slows down somebody who uses a valid credential to copy all data out of a system.
# custom:
#   reason: usage.minute_rate
#   controls: [C03]
findings contains finding("usage.minute_rate", calls, limit) if {
	calls := input.usage.calls_1m
	some each in settings.asked
	limit := each.usage.calls_per_minute
	calls > limit
}

# METADATA
# title: Too many calls in an hour
# description: Stops the same attack when it is made slowly enough to stay below the limit for a minute.
# custom:
#   reason: usage.hour_rate
#   controls: [C03]
findings contains finding("usage.hour_rate", calls, limit) if {
	calls := input.usage.calls_1h
	some each in settings.asked
	limit := each.usage.calls_per_hour
	calls > limit
}

# METADATA
# title: Too many calls at the same time
# description: Keeps one client from filling the connector and the backend.
# custom:
#   reason: usage.in_flight
#   controls: [C03]
findings contains finding("usage.in_flight", calls, limit) if {
	calls := input.usage.in_flight
	some each in settings.asked
	limit := each.usage.in_flight
	calls > limit
}

# METADATA
# title: Too many denied calls in an hour
# description: >-
#   Somebody may be trying out what this credential can do. Calls that the policy denied are counted,
#   and calls that the connector refused before a decision to let them pass took effect.
# custom:
#   reason: usage.denials
#   controls: [C03]
findings contains finding("usage.denials", denials, limit) if {
	denials := input.usage.denials_1h
	some each in settings.asked
	limit := each.usage.denials_per_hour
	denials > limit
}

finding(code, count_now, limit) := {
	"grade": "deny",
	"reason": {"code": code, "params": {"count": count_now, "limit": limit}},
	"obligations": [],
}
