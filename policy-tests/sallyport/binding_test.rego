package sallyport.binding_test

import data.sallyport.binding
import data.sallyport.fixtures

elsewhere := {"client": {"ip": "10.9.9.9", "network": "10.9.9.0/24"}}

test_same_place_finds_nothing if {
	count(binding.findings) == 0 with input as fixtures.call with data.settings as fixtures.settings
}

test_no_session_finds_nothing if {
	call := json.remove(fixtures.call, ["/session"])
	count(binding.findings) == 0 with input as object.union(call, {"session": null})
		with data.settings as fixtures.settings
}

test_other_client_id_is_refused_and_ends_the_session if {
	call := fixtures.changed({"session": {"bound": {"client_id": "agent-8"}}})
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.client_changed"}
	some finding in findings
	{"type": "revoke_session"} in finding.obligations
	{"type": "alert", "severity": "high"} in finding.obligations
}

test_other_subject_is_refused if {
	call := fixtures.changed({"session": {"bound": {"subject": "bob"}}})
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.grades(findings) == {"deny"}
}

test_other_key_is_refused if {
	call := fixtures.changed({
		"session": {"bound": {"key": "thumb-1"}},
		"client": {"auth": {"key": "thumb-2"}},
	})
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.key_changed"}
}

test_key_that_disappears_is_refused if {
	call := fixtures.changed({"session": {"bound": {"key": "thumb-1"}}})
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.grades(findings) == {"deny"}
}

test_session_without_key_is_replaced_when_a_key_comes if {
	call := fixtures.changed({"client": {"auth": {"key": "thumb-2"}}})
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.key_added"}
	fixtures.grades(findings) == {"rotate"}
}

test_other_address_same_network_is_a_matter_of_grade if {
	call := fixtures.changed({"client": {"ip": "10.1.2.4"}})
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.grades(findings) == {"allow"}
	strict := fixtures.with_settings({"binding": {"ip": "deny"}})
	strictly := binding.findings with input as call with data.settings as strict
	fixtures.grades(strictly) == {"deny"}
}

test_other_network_later_rotates_with_a_low_alert if {
	call := fixtures.changed(elsewhere)
	quiet := object.union(call, {"usage": {"networks": [
		{"network": "10.9.9.0/24", "calls": 1, "last_seen_seconds": 0},
		{"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 120},
	]}})
	findings := binding.findings with input as quiet with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.network_changed"}
	some finding in findings
	finding.obligations == [{"type": "alert", "severity": "low"}]
}

test_two_networks_inside_the_window_are_refused if {
	call := fixtures.changed(elsewhere)
	busy := object.union(call, {"usage": {"networks": [
		{"network": "10.9.9.0/24", "calls": 1, "last_seen_seconds": 0},
		{"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 119},
	]}})
	findings := binding.findings with input as busy with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.concurrent_networks"}
	fixtures.grades(findings) == {"deny"}
}

dual := {
	"client": {"ip": "2001:db8::7", "network": "2001:db8::/64"},
	"usage": {"networks": [
		{"network": "2001:db8::/64", "calls": 1, "last_seen_seconds": 0},
		{"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 1},
	]},
}

test_dual_stack_is_one_place if {
	bound := {"session": {"bound": {"ipv6": {"ip": "2001:db8::7", "network": "2001:db8::/64"}}}}
	call := fixtures.changed(object.union(dual, bound))
	count(binding.findings) == 0 with input as call with data.settings as fixtures.settings
}

test_other_family_for_the_first_time_rotates if {
	call := fixtures.changed(dual)
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.network_added"}
	fixtures.grades(findings) == {"rotate"}
}

test_other_network_of_a_bound_family_is_a_change if {
	bound := {"session": {"bound": {"ipv6": {"ip": "2001:db8:9::7", "network": "2001:db8:9::/64"}}}}
	call := fixtures.changed(object.union(dual, bound))
	findings := binding.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"binding.network_changed"}
}

on_two(here, other) := {"usage": {"networks": [
	object.union({"network": "10.9.9.0/24", "calls": 2, "last_seen_seconds": 1}, here),
	object.union({"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 5}, other),
]}}

found(changes, settings) := {[finding.grade, finding.reason.code, object.get(finding.reason.params, "crossing", "")] |
	some finding in binding.findings with input as fixtures.changed(changes) with data.settings as settings
}

rotating := fixtures.with_settings({"binding": {"first_crossing": "rotate"}})

test_first_crossing_has_a_grade_of_its_own if {
	calls := object.union(elsewhere, on_two({}, {}))
	found(calls, fixtures.settings) == {["deny", "binding.concurrent_networks", "first"]}
	found(calls, rotating) == {["rotate", "binding.concurrent_networks", "first"]}
}

test_a_session_that_moved_stays_where_it_is if {
	moved := {"session": {"bound": {"ipv4": {"ip": "10.9.9.9", "network": "10.9.9.0/24"}}}}
	calls := object.union_n([elsewhere, on_two({}, {}), moved])
	found(calls, fixtures.settings) == set()
}

back := {"returned_seconds": 3, "away_seconds": 10, "returned_from": "10.1.2.0/24"}

back_home := object.union(back, {"returned_from": "10.9.9.0/24"})

test_coming_back_is_denied_whatever_the_first_crossing_is if {
	calls := object.union(elsewhere, on_two(back, {}))
	found(calls, rotating) == {["deny", "binding.concurrent_networks", "return"]}
	other := object.union(elsewhere, on_two({}, back_home))
	found(other, rotating) == {["deny", "binding.concurrent_networks", "return"]}
}

test_coming_back_after_a_long_time_is_a_first_crossing if {
	late := object.union(elsewhere, on_two(object.union(back, {"away_seconds": 120}), {}))
	found(late, fixtures.settings) == {["deny", "binding.concurrent_networks", "first"]}
	long_ago := object.union(elsewhere, on_two(object.union(back, {"returned_seconds": 120}), {}))
	found(long_ago, fixtures.settings) == {["deny", "binding.concurrent_networks", "first"]}
}

with_key := {"client": {"auth": {"method": "dpop", "key": "thumb-1"}}}

its_key := {"session": {"bound": {"key": "thumb-1"}}}

test_who_proves_the_key_is_rotated_once_for_a_new_network if {
	calls := object.union_n([elsewhere, on_two(back, {}), with_key, its_key])
	found(calls, fixtures.settings) == {["rotate", "binding.network_changed", ""]}
	both := object.union(calls, {"session": {"bound": {"networks": ["10.9.9.0/24"]}}})
	found(both, fixtures.settings) == set()
}

test_who_proves_a_key_may_begin_anywhere if {
	call := json.remove(fixtures.changed(object.union_n([elsewhere, on_two(back, {}), with_key])), ["/session"])
	findings := binding.findings with input as object.union(call, {"session": null})
		with data.settings as fixtures.settings
	findings == set()
}

test_another_key_proves_nothing if {
	other := {"session": {"bound": {"key": "thumb-2"}}}
	calls := object.union_n([elsewhere, on_two({}, {}), with_key, other])
	found(calls, fixtures.settings) == {
		["deny", "binding.key_changed", ""],
		["deny", "binding.concurrent_networks", "first"],
	}
}

test_networks_that_are_one_place if {
	one := fixtures.with_settings({"binding": {"places": {"office": ["10.1.0.0/16", "10.9.9.7/32"]}}})
	found(object.union(elsewhere, on_two(back, back_home)), one) == {["allow", "binding.ip_changed", ""]}
	two := fixtures.with_settings({"binding": {"places": {"office": ["10.1.0.0/16"], "lab": ["10.9.9.0/24"]}}})
	found(object.union(elsewhere, on_two({}, {})), two) == {["deny", "binding.concurrent_networks", "first"]}
}

test_a_place_that_was_refused_for_itself_is_no_second_place if {
	refused := object.union(back, {"refused": true})
	from_there := object.union(back, {"returned_from": "10.9.9.0/24"})
	inside := {"usage": {"networks": [
		object.union({"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 5}, from_there),
		object.union({"network": "10.9.9.0/24", "calls": 1, "last_seen_seconds": 9}, refused),
	]}}
	found(inside, fixtures.settings) == set()
}

test_the_other_family_is_no_second_place if {
	other := {"usage": {"networks": [
		{"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 5},
		object.union({"network": "2001:db8::/64", "calls": 41, "last_seen_seconds": 1}, back),
	]}}
	found(other, fixtures.settings) == set()
}

test_coming_back_within_one_place_and_then_moving_is_a_first_crossing if {
	one := fixtures.with_settings({"binding": {"places": {"office": ["10.1.0.0/16", "10.2.0.0/16"]}}})
	calls := object.union(elsewhere, {"usage": {"networks": [
		{"network": "10.9.9.0/24", "calls": 1, "last_seen_seconds": 0},
		object.union({"network": "10.1.2.0/24", "calls": 9, "last_seen_seconds": 2}, object.union(back, {"returned_from": "10.2.0.0/24"})),
		object.union({"network": "10.2.0.0/24", "calls": 9, "last_seen_seconds": 3}, back),
	]}})
	found(calls, one) == {["deny", "binding.concurrent_networks", "first"]}
}

test_networks_that_were_forgotten_within_the_window_count_as_coming_back if {
	calls := object.union(elsewhere, {"usage": {
		"networks": [
			{"network": "10.9.9.0/24", "calls": 1, "last_seen_seconds": 0},
			{"network": "2001:db8::/64", "calls": 1, "last_seen_seconds": 5},
		],
		"networks_dropped_seconds": 119,
	}})
	found(calls, fixtures.settings) == {["deny", "binding.concurrent_networks", "return"]}
	long_ago := object.union(calls, {"usage": {"networks_dropped_seconds": 120}})
	found(long_ago, fixtures.settings) == {["rotate", "binding.network_changed", ""]}
}

test_a_key_that_comes_in_another_network_replaces_the_session if {
	calls := object.union_n([elsewhere, on_two({}, {}), with_key])
	found(calls, fixtures.settings) == {
		["rotate", "binding.key_added", ""],
		["rotate", "binding.network_changed", ""],
	}
}

test_a_place_that_is_refused_for_itself_says_nothing_about_the_session if {
	vpn := fixtures.with_settings({"access": {"networks": {"clerk": ["10.1.0.0/16"]}}})
	found(object.union(elsewhere, on_two({}, {})), vpn) == set()
	found(object.union(elsewhere, on_two(back, {})), vpn) == set()
}
