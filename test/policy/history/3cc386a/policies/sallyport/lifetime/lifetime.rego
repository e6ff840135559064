# METADATA
# title: How long a backend session lives
# description: >-
#   C01. Limits by server time; each has a grade in data.yaml. "rotate" replaces the backend
#   session before the call is sent, not after (R-22). Without a session nothing is limited.
# schemas:
#   - input: schema.input
package sallyport.lifetime

import data.sallyport.settings

# METADATA
# title: The backend token is too old
# description: Counted from the login that gave the token.
# custom:
#   reason: lifetime.token_too_old
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.token_too_old", params) if {
	limit := settings.effective.lifetime.token_age
	age := input.session.token_age_seconds
	age >= limit.limit_seconds
	params := {"age_seconds": age, "limit_seconds": limit.limit_seconds}
}

# METADATA
# title: The backend token has served enough calls
# description: Calls that were refused count, so that a thief cannot stretch the limit.
# custom:
#   reason: lifetime.token_used_up
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.token_used_up", params) if {
	limit := settings.effective.lifetime.token_uses
	uses := input.session.token_uses
	uses >= limit.limit
	params := {"uses": uses, "limit": limit.limit}
}

# METADATA
# title: The session has been idle too long
# description: Counted from the last call of this client that used the session.
# custom:
#   reason: lifetime.idle_too_long
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.idle_too_long", params) if {
	limit := settings.effective.lifetime.idle
	idle := input.session.idle_seconds
	idle >= limit.limit_seconds
	params := {"idle_seconds": idle, "limit_seconds": limit.limit_seconds}
}

# METADATA
# title: The session has reached its absolute limit
# description: Use does not extend it, rotation neither (R-21).
# custom:
#   reason: lifetime.session_too_old
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.session_too_old", params) if {
	limit := settings.effective.lifetime.absolute
	age := input.session.age_seconds
	age >= limit.limit_seconds
	params := {"age_seconds": age, "limit_seconds": limit.limit_seconds}
}

# METADATA
# title: How many sessions one client id may have
# description: >-
#   Counted when the session is opened, in one step over all replicas (R-30); the connector refuses
#   with session.limit. Only a call that would open a session carries the obligation.
# custom:
#   controls: [C01]
limits contains {"type": "limit_sessions", "limit": settings.effective.lifetime.sessions_per_client} if {
	is_null(input.session)
}

# A session that may not go on must not wait for its next caller either.
finding(grade, code, params) := {
	"grade": grade,
	"reason": {"code": code, "params": params},
	"obligations": obligations[grade],
}

obligations := {
	"allow": [],
	"rotate": [],
	"deny": [{"type": "revoke_session"}],
}
