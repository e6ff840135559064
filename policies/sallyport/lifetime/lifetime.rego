# METADATA
# title: How long a backend session lives
# description: >-
#   C01. Limits on the age and use of a session, by the server's clock; each has a grade in
#   data.yaml. Grade "rotate" replaces the backend session before the call is sent, not after it
#   (R-22). A call without a session has no findings here.
# schemas:
#   - input: schema.input
package sallyport.lifetime

import data.sallyport.settings

# METADATA
# title: The backend token is too old
# description: The age is counted from the login that gave the backend token, or from its renewal by the backend.
# custom:
#   reason: lifetime.token_too_old
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.token_too_old", params) if {
	some each in settings.asked
	limit := each.lifetime.token_age
	age := input.session.token_age_seconds
	age >= limit.limit_seconds
	params := {"age_seconds": age, "limit_seconds": limit.limit_seconds}
}

# METADATA
# title: The backend token has served enough calls
# description: Calls that were denied or refused count as well, so that a thief cannot stretch the limit.
# custom:
#   reason: lifetime.token_used_up
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.token_used_up", params) if {
	some each in settings.asked
	limit := each.lifetime.token_uses
	uses := input.session.token_uses
	uses >= limit.limit
	params := {"uses": uses, "limit": limit.limit}
}

# METADATA
# title: The session has been idle too long
# description: >-
#   The idle time is counted from the last call of this client to this backend, or from the login.
#   Keep-alive requests of the connector do not count as calls.
# custom:
#   reason: lifetime.idle_too_long
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.idle_too_long", params) if {
	some each in settings.asked
	limit := each.lifetime.idle
	idle := input.session.idle_seconds
	idle >= limit.limit_seconds
	params := {"idle_seconds": idle, "limit_seconds": limit.limit_seconds}
}

# METADATA
# title: The session has reached its absolute limit
# description: The age is counted from the first login. Neither calls nor rotations extend the limit (R-21).
# custom:
#   reason: lifetime.session_too_old
#   controls: [C01]
findings contains finding(limit.grade, "lifetime.session_too_old", params) if {
	some each in settings.asked
	limit := each.lifetime.absolute
	age := input.session.age_seconds
	age >= limit.limit_seconds
	params := {"age_seconds": age, "limit_seconds": limit.limit_seconds}
}

# METADATA
# title: How many sessions one client id may have
# description: >-
#   An obligation for calls that would open a session. The connector counts the sessions of the
#   client id over all replicas when it opens one, in one atomic step, so that two logins at once
#   cannot both take the last place (R-30). Above the limit it refuses the call (session.limit).
# custom:
#   controls: [C01]
limits contains {"type": "limit_sessions", "limit": each.lifetime.sessions_per_client} if {
	is_null(input.session)
	some each in settings.asked
}

# A finding of grade "deny" also ends the session at once. It would otherwise stay alive at the backend, unused.
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
