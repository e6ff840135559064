# METADATA
# title: How much one client may do
# description: Aggregates of the last minute and hour, this call included. Refused calls count.
# schemas:
#   - input: schema.input
package sallyport.usage

import data.sallyport.settings

# METADATA
# title: Too many calls in a minute
# description: Slows down whoever empties a system with a valid credential.
# custom:
#   reason: usage.minute_rate
#   controls: [C03]
findings contains finding("usage.minute_rate", calls, limit) if {
	calls := input.usage.calls_1m
	limit := settings.effective.usage.calls_per_minute
	calls > limit
}

# METADATA
# title: Too many calls in an hour
# description: As above, over the hour.
# custom:
#   reason: usage.hour_rate
#   controls: [C03]
findings contains finding("usage.hour_rate", calls, limit) if {
	calls := input.usage.calls_1h
	limit := settings.effective.usage.calls_per_hour
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
	limit := settings.effective.usage.in_flight
	calls > limit
}

# METADATA
# title: Too many refusals in an hour
# description: Somebody is probing what this credential may do.
# custom:
#   reason: usage.denials
#   controls: [C03]
findings contains finding("usage.denials", denials, limit) if {
	denials := input.usage.denials_1h
	limit := settings.effective.usage.denials_per_hour
	denials > limit
}

finding(code, count_now, limit) := {
	"grade": "deny",
	"reason": {"code": code, "params": {"count": count_now, "limit": limit}},
	"obligations": [],
}
