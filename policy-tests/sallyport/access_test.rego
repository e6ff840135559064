package sallyport.access_test

import data.sallyport.access
import data.sallyport.fixtures

test_a_role_that_lists_the_tool_allows if {
	access.allow == {{"code": "access.role", "params": {"role": "clerk"}}} with input as fixtures.call
		with data.settings as fixtures.settings
}

test_a_star_allows_every_tool if {
	call := fixtures.changed({"client": {"roles": ["manager"]}, "tool": {"name": "anything"}})
	count(access.allow) == 1 with input as call with data.settings as fixtures.settings
}

test_unknown_role_allows_nothing if {
	call := fixtures.changed({"client": {"roles": ["guest"]}})
	count(access.allow) == 0 with input as call with data.settings as fixtures.settings
}

test_no_role_at_all_names_the_tool if {
	access.no_rule == [{"code": "access.no_rule", "params": {"tool": "stock_list"}}] with input as fixtures.call
}

test_missing_scope_is_refused_and_asked_for if {
	call := fixtures.changed({"client": {"scopes": []}, "tool": {"name": "stock_adjust"}})
	findings := access.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"access.scope_missing"}
	some finding in findings
	finding.obligations == [{"type": "require_scope", "scope": "stock:write"}]
}

test_scope_present_is_enough if {
	call := fixtures.changed({"tool": {"name": "stock_adjust"}})
	count(access.findings) == 0 with input as call with data.settings as fixtures.settings
}

test_expired_credential_is_refused if {
	call := fixtures.changed({"client": {"auth": {"expires_in_seconds": 0}}})
	findings := access.findings with input as call with data.settings as fixtures.settings
	fixtures.codes(findings) == {"access.credential_expired"}
}

test_credential_without_expiry_is_accepted if {
	call := fixtures.changed({"client": {"auth": {"expires_in_seconds": null}}})
	count(access.findings) == 0 with input as call with data.settings as fixtures.settings
}

test_mask_for_a_role_that_may_not_see if {
	access.masks == {{"type": "mask", "pointers": ["/price"]}} with input as fixtures.call
		with data.settings as fixtures.settings
}

test_no_mask_for_a_role_that_may_see if {
	call := fixtures.changed({"client": {"roles": ["manager"]}})
	count(access.masks) == 0 with input as call with data.settings as fixtures.settings
}

vpn := fixtures.with_settings({"access": {"networks": {"clerk": ["10.8.0.0/16", "2001:db8:8::/48"]}}})

test_role_outside_its_networks_is_denied if {
	findings := access.findings with input as fixtures.call with data.settings as vpn
	fixtures.codes(findings) == {"access.wrong_network"}
	fixtures.grades(findings) == {"deny"}
}

test_role_inside_its_networks_passes if {
	some ip in ["10.8.1.2", "2001:db8:8::7"]
	findings := access.findings with input as fixtures.changed({"client": {"ip": ip}}) with data.settings as vpn
	findings == set()
}
