package sallyport.settings_test

import data.sallyport.fixtures
import data.sallyport.settings

# How the connector merges overrides is tested where it does (test/decision/settings.test.ts). Here: which of the merged
# settings hold for a call.
lifetime(seconds) := object.union(fixtures.settings.lifetime, {"token_age": {"limit_seconds": seconds, "grade": "rotate"}})

place(number) := {"binding": 0, "lifetime": number, "replay": 0, "usage": 0, "site": 0}

overridden := object.union(fixtures.settings, {"merged": object.union(fixtures.settings.merged, {
	"lifetime": [lifetime(300), lifetime(60), lifetime(30), lifetime(20), lifetime(10)],
	"at": {
		"": {
			"": {"": place(0), "stock_get": place(2)},
			"inventory": {"": place(1), "stock_get": place(3)},
		},
		"contractor": {
			"": {"": place(4), "stock_get": place(4)},
			"inventory": {"": place(4), "stock_get": place(4)},
		},
	},
})})

limit(call) := group.token_age.limit_seconds if {
	group := settings.effective.lifetime with input as call with data.settings as overridden
}

asked(call) := [each.lifetime.token_age.limit_seconds | some each in views] if {
	views := settings.asked with input as call with data.settings as overridden
}

elsewhere := {"tool": {"backend": "payroll"}}

test_general_value_without_override if limit(fixtures.changed(elsewhere)) == 300

test_value_of_the_backend if limit(fixtures.call) == 60

test_value_of_the_tool if limit(fixtures.changed({"tool": {"name": "stock_get", "backend": "payroll"}})) == 30

test_tool_and_backend if limit(fixtures.changed({"tool": {"name": "stock_get"}})) == 20

test_a_role_with_settings_is_asked_in_addition if {
	asked(fixtures.changed({"client": {"roles": ["clerk", "contractor"]}})) == [60, 10]
}

test_other_roles_add_nothing if asked(fixtures.changed({"client": {"roles": ["clerk", ""]}})) == [60]
