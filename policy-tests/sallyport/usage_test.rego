package sallyport.usage_test

import data.sallyport.fixtures
import data.sallyport.usage

found(facts) := codes if {
	call := fixtures.changed({"usage": facts})
	codes := fixtures.codes(usage.findings) with input as call with data.settings as fixtures.settings
}

test_at_the_limits_nothing_is_found if {
	found({"calls_1m": 60, "calls_1h": 600, "in_flight": 8, "denials_1h": 20}) == set()
}

test_minute_rate if {
	found({"calls_1m": 61}) == {"usage.minute_rate"}
}

test_hour_rate if {
	found({"calls_1h": 601}) == {"usage.hour_rate"}
}

test_in_flight if {
	found({"in_flight": 9}) == {"usage.in_flight"}
}

test_denials if {
	found({"denials_1h": 21}) == {"usage.denials"}
}
