package sallyport.settings_test

import data.sallyport.fixtures
import data.sallyport.settings

test_general_value_without_override if {
	settings.effective.lifetime.token_age.limit_seconds == 300 with input as fixtures.call
		with data.settings as fixtures.settings
}

test_backend_override_changes_only_what_it_names if {
	changed := fixtures.with_settings({"backends": {"inventory": {"lifetime": {"token_age": {"limit_seconds": 60}}}}})
	group := settings.effective.lifetime with input as fixtures.call with data.settings as changed
	group.token_age == {"limit_seconds": 60, "grade": "rotate"}
	group.idle.limit_seconds == 900
}

test_tool_wins_over_backend if {
	changed := fixtures.with_settings({
		"backends": {"inventory": {"usage": {"in_flight": 4, "calls_per_hour": 5}}},
		"tools": {"stock_list": {"usage": {"in_flight": 2}}},
	})
	group := settings.effective.usage with input as fixtures.call with data.settings as changed
	group.in_flight == 2
	group.calls_per_hour == 5
	group.calls_per_minute == 60
}

test_override_of_another_tool_changes_nothing if {
	changed := fixtures.with_settings({"tools": {"other": {"replay": {"seen": "allow"}}}})
	settings.effective.replay.seen == "deny" with input as fixtures.call with data.settings as changed
}

test_override_of_one_group_leaves_the_others if {
	changed := fixtures.with_settings({"tools": {"stock_list": {"binding": {"ip": "deny"}}}})
	settings.effective.binding.ip == "deny" with input as fixtures.call with data.settings as changed
	settings.effective.replay.seen == "deny" with input as fixtures.call with data.settings as changed
}
