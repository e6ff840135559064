package sallyport_test

import data.sallyport
import data.sallyport.fixtures

decided(changes) := decision if {
	call := fixtures.changed(changes)
	decision := sallyport.decision with input as call with data.settings as fixtures.settings
}

test_healthy_call_is_allowed_with_its_mask if {
	decision := decided({})
	decision.outcome == "allow"
	decision.reasons == {{"code": "access.role", "params": {"role": "clerk"}}}
	decision.obligations == {{"type": "mask", "pointers": ["/price"]}}
}

test_old_token_is_rotated if {
	decision := decided({"session": {"token_age_seconds": 400}})
	decision.outcome == "rotate"
	some reason in decision.reasons
	reason.code == "lifetime.token_too_old"
}

test_deny_wins_over_rotate if {
	decision := decided({"session": {"token_age_seconds": 400, "age_seconds": 30000}})
	decision.outcome == "deny"
	decision.reasons == {{"code": "lifetime.session_too_old", "params": {"age_seconds": 30000, "limit_seconds": 28800}}}
}

test_default_is_deny if {
	decision := decided({"client": {"roles": []}})
	decision.outcome == "deny"
	decision.reasons == [{"code": "access.no_rule", "params": {"tool": "stock_list"}}]
}

test_a_denied_call_that_no_rule_allows_says_so_beside if {
	decision := decided({"client": {"roles": []}, "session": {"age_seconds": 30000}})
	{reason.code | some reason in decision.reasons} == {"access.no_rule", "lifetime.session_too_old"}
}

test_rotation_needs_an_access_rule_too if {
	decision := decided({"client": {"roles": []}, "session": {"token_age_seconds": 400}})
	decision.outcome == "deny"
	decision.reasons == [{"code": "access.no_rule", "params": {"tool": "stock_list"}}]
}

test_finding_of_grade_allow_lets_pass_and_allows_nothing if {
	decided({"client": {"ip": "10.1.2.4"}}).outcome == "allow"
	decided({"client": {"ip": "10.1.2.4", "roles": []}}).outcome == "deny"
}

test_empty_input_is_denied if {
	decision := sallyport.decision with input as {} with data.settings as fixtures.settings
	decision.outcome == "deny"
}
