package sallyport.lifetime_test

import data.sallyport.fixtures
import data.sallyport.lifetime

found(session) := findings if {
	call := fixtures.changed({"session": session})
	findings := lifetime.findings with input as call with data.settings as fixtures.settings
}

test_young_session_finds_nothing if {
	count(found({"token_age_seconds": 299, "token_uses": 499, "idle_seconds": 899, "age_seconds": 28799})) == 0
}

test_token_age_at_the_limit_rotates if {
	findings := found({"token_age_seconds": 300})
	fixtures.codes(findings) == {"lifetime.token_too_old"}
	fixtures.grades(findings) == {"rotate"}
}

test_token_uses_at_the_limit_rotate if {
	fixtures.codes(found({"token_uses": 500})) == {"lifetime.token_used_up"}
}

test_idle_at_the_limit_rotates if {
	fixtures.codes(found({"idle_seconds": 900})) == {"lifetime.idle_too_long"}
}

test_absolute_limit_is_the_end if {
	findings := found({"age_seconds": 28800})
	fixtures.codes(findings) == {"lifetime.session_too_old"}
	fixtures.grades(findings) == {"deny"}
	some finding in findings
	finding.obligations == [{"type": "revoke_session"}]
}

test_without_a_session_nothing_is_limited if {
	call := object.union(json.remove(fixtures.call, ["/session"]), {"session": null})
	count(lifetime.findings) == 0 with input as call with data.settings as fixtures.settings
}

test_a_call_that_opens_a_session_carries_the_limit if {
	call := object.union(json.remove(fixtures.call, ["/session"]), {"session": null})
	limits := lifetime.limits with input as call with data.settings as fixtures.settings
	limits == {{"type": "limit_sessions", "limit": 100}}
	count(lifetime.limits) == 0 with input as fixtures.call with data.settings as fixtures.settings
}
