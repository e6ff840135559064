package sallyport.rules_of_a_site_test

import data.sallyport
import data.sallyport.fixtures

# What a package of the site gives, asked through the entrypoint.
decided(rules) := decision if {
	decision := sallyport.decision with input as fixtures.call
		with data.settings as fixtures.settings
		with data.site as {"mine": rules}
}

reason(code) := {"code": code, "params": {"text": "a", "number": 1, "truth": true, "nothing": null}}

finding(grade) := {"grade": grade, "reason": reason("mine.found"), "obligations": []}

allowed := {"code": "access.role", "params": {"role": "clerk"}}

refused_for(decision, code, params) if {
	decision.outcome == "deny"
	{"code": code, "params": params} in decision.reasons
}

test_a_finding_of_the_site_denies if {
	refused_for(decided({"findings": {finding("deny")}}), "mine.found", reason("mine.found").params)
}

test_a_finding_of_the_site_rotates if {
	decision := decided({"findings": {finding("rotate")}})
	decision.outcome == "rotate"
	decision.reasons == {reason("mine.found")}
}

test_a_finding_that_is_let_pass_is_observed if {
	decision := decided({"findings": {finding("allow")}})
	decision.outcome == "allow"
	decision.observed == {reason("mine.found")}
	decision.reasons == {allowed}
}

test_a_reason_that_also_denies_is_not_observed if {
	decision := decided({"findings": {finding("allow"), finding("deny")}})
	decision.observed == set()
}

test_a_grade_that_is_none_denies if {
	every grade in ["denied", "DENY", "Deny", "deny ", "", "block", null, 1, ["deny"], {}] {
		decided({"findings": {finding(grade)}}).outcome == "deny"
	}
}

test_a_misspelt_grade_is_named if {
	refused_for(decided({"findings": {finding("denied")}}), "decision.unknown_grade", {"by": "mine.found", "grade": "denied"})
}

test_what_else_stands_for_a_grade_is_not_told if {
	refused_for(decided({"findings": {finding("secret")}}), "decision.unknown_grade", {"by": "mine.found", "grade": "string"})
}

test_a_finding_without_a_grade_denies if {
	lacking := {"reason": reason("mine.found"), "obligations": []}
	refused_for(decided({"findings": {lacking}}), "decision.unknown_grade", {"by": "mine.found", "grade": "null"})
}

test_what_is_no_finding_denies if {
	every thing in ["deny", 1, true, null, ["deny"], {"deny"}] {
		refused_for(decided({"findings": {thing}}), "decision.unknown_grade", {"by": "a rule", "grade": "null"})
	}
}

test_a_reason_of_another_shape_denies if {
	every thing in [
		"mine.found", null, {}, {"code": "mine.found"}, {"code": "Mine Found", "params": {}},
		{"code": "mine", "params": {}}, {"code": "mine.found", "params": []},
		{"code": "mine.found", "params": {"list": [1]}}, {"code": "mine.found", "params": {}, "text": "x"},
	] {
		decision := decided({"findings": {{"grade": "deny", "reason": thing, "obligations": []}}})
		refused_for(decision, "decision.wrong_shape", {"by": "a rule", "part": "reason"})
	}
}

test_an_obligation_of_another_shape_denies if {
	every thing in [
		"alert", {"type": "alarm"}, {"type": "alert"}, {"type": "alert", "severity": "very high"},
		{"type": "alert", "severity": "low", "to": "me"}, {"type": "revoke_session", "now": true},
		{"type": "require_scope", "scope": "a b"}, {"type": "limit_sessions", "limit": 0},
		{"type": "mask", "pointers": []}, {"type": "mask", "pointers": ["price"]},
		{"type": "mask", "pointers": ["/price"], "required": "yes"},
		{"type": "limit_result", "pointer": "/items", "items": 1.5}, {"type": "limit_result", "items": 1},
	] {
		bad := object.union(finding("allow"), {"obligations": [thing]})
		refused_for(decided({"findings": {bad}}), "decision.wrong_shape", {"by": "mine.found", "part": "obligations"})
	}
}

test_obligations_that_are_no_list_deny if {
	every thing in ["alert", null, {"type": "alert"}] {
		bad := object.union(finding("rotate"), {"obligations": thing})
		refused_for(decided({"findings": {bad}}), "decision.wrong_shape", {"by": "mine.found", "part": "obligations"})
	}
}

test_every_known_obligation_is_taken if {
	all := [
		{"type": "alert", "severity": "low"}, {"type": "revoke_session"}, {"type": "require_scope", "scope": "a"},
		{"type": "limit_sessions", "limit": 1}, {"type": "limit_result", "pointer": "/items", "items": 1},
		{"type": "mask", "pointers": ["/a/*/b~0"]}, {"type": "mask", "pointers": ["/a"], "required": true},
	]
	decision := decided({"findings": {object.union(finding("deny"), {"obligations": all})}})
	decision.reasons == {reason("mine.found")}
	count(decision.obligations) == count(all) + 1
}

test_an_alert_names_the_finding_that_raised_it if {
	loud := object.union(finding("rotate"), {"obligations": [{"type": "alert", "severity": "low"}]})
	decision := decided({"findings": {loud}})
	{"type": "alert", "severity": "low", "reason": reason("mine.found")} in decision.obligations
}

test_the_site_may_allow if {
	decision := sallyport.decision with input as fixtures.changed({"client": {"roles": []}})
		with data.settings as fixtures.settings
		with data.site as {"mine": {"allow": {reason("mine.duty")}}}
	decision.outcome == "allow"
	decision.reasons == {reason("mine.duty")}
}

test_what_is_no_reason_does_not_allow if {
	refused_for(decided({"allow": {"because"}}), "decision.wrong_shape", {"by": "a rule", "part": "allow"})
	refused_for(decided({"allow": {{"code": "mine.duty"}}}), "decision.wrong_shape", {"by": "a rule", "part": "allow"})
}

test_masks_of_the_site if {
	masks := {
		{"pointers": ["/a"], "except_roles": ["manager"]},
		{"pointers": ["/b"], "except_roles": [], "required": true},
		{"pointers": ["/c"], "except_roles": ["clerk"]},
	}
	decision := decided({"masks": masks})
	decision.outcome == "allow"
	{"type": "mask", "pointers": ["/a"]} in decision.obligations
	{"type": "mask", "pointers": ["/b"], "required": true} in decision.obligations
	not {"type": "mask", "pointers": ["/c"]} in decision.obligations
}

test_what_is_no_mask_denies if {
	every thing in [
		"/a", {"pointers": ["/a"]}, {"pointers": "/a", "except_roles": []}, {"pointers": ["a"], "except_roles": []},
		{"pointers": ["/a"], "except_roles": [1]}, {"pointers": ["/a"], "except_roles": [], "required": 1},
	] {
		refused_for(decided({"masks": {thing}}), "decision.wrong_shape", {"by": "mine", "part": "masks"})
	}
}

test_limits_of_the_site if {
	limits := {
		{"pointer": "/items", "items": 5, "except_roles": ["manager"]},
		{"pointer": "/rows", "items": 5, "except_roles": ["clerk"]},
	}
	decision := decided({"limits": limits})
	{"type": "limit_result", "pointer": "/items", "items": 5} in decision.obligations
	not {"type": "limit_result", "pointer": "/rows", "items": 5} in decision.obligations
}

test_what_is_no_limit_denies if {
	every thing in [5, {"pointer": "/items", "items": 5}, {"pointer": "/items", "items": 0, "except_roles": []}] {
		refused_for(decided({"limits": {thing}}), "decision.wrong_shape", {"by": "mine", "part": "limits"})
	}
}

test_a_hook_that_is_no_set_denies if {
	every hook in ["findings", "allow", "masks", "limits"] {
		refused_for(decided({hook: {"a": finding("allow")}}), "decision.wrong_shape", {"by": "mine", "part": hook})
		refused_for(decided({hook: "x"}), "decision.wrong_shape", {"by": "mine", "part": hook})
	}
}

test_the_site_may_hide_tools if {
	ask := {
		"version": 1,
		"client": fixtures.call.client,
		"tools": [{"name": name, "backend": "inventory", "effect": "read"} | some name in ["stock_list", "stock_adjust"]],
	}
	shown := sallyport.visible with input as ask
		with data.settings as fixtures.settings
		with data.site as {"mine": {"visible": {"stock_list"}}}
	shown == {"stock_adjust"}
}
