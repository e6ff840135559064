package sallyport.freeze_test

import data.sallyport.fixtures
import data.sallyport.freeze
import data.sallyport.listing
import data.sallyport.quiet

frozen(scope, name) := {"scope": scope, "name": name, "operator": "on-call", "reason": "r", "until": null}

tool(name, backend) := {"name": name, "backend": backend, "effect": "read"}

listed(rows) := names if {
	asked := {
		"version": 1,
		"client": fixtures.call.client,
		"tools": [tool("stock_adjust", "inventory"), tool("stock_list", "other")],
		"freeze": rows,
	}
	names := listing.visible with input as asked with data.settings as fixtures.settings
}

test_nothing_is_frozen if {
	count(freeze.findings) == 0 with input as fixtures.call
}

test_who_why_and_until_stand_in_the_reason if {
	some finding in freeze.findings with input as fixtures.changed({"freeze": [frozen("tool", "stock_get")]})
	finding.reason.params == frozen("tool", "stock_get")
}

test_the_usual_call_is_not_usual_when_something_is_frozen if {
	call := fixtures.changed({"freeze": [frozen("all", "")]})
	not quiet.call with input as call with data.settings as fixtures.settings
}

test_a_frozen_client_sees_no_tool if {
	every scope in ["all", "role", "client", "subject"] { listed([frozen(scope, "x")]) == set() }
}

test_a_frozen_tool_or_backend_is_not_listed if {
	listed([frozen("tool", "stock_list")]) == {"stock_adjust"}
	listed([frozen("backend", "inventory")]) == {"stock_list"}
	listed([frozen("tool", "another"), frozen("backend", "another")]) == {"stock_adjust", "stock_list"}
}
