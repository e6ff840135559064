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
