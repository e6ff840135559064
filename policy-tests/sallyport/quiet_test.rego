package sallyport.quiet_test

import data.sallyport.fixtures
import data.sallyport.quiet

# That it changes no decision is tested where calls are generated (test/decision/quiet.test.ts). Here: that it holds for
# the calls it is made for, or it would save nothing.
holds(changes) if {
	call := fixtures.changed(changes)
	quiet.call with input as call with data.settings as fixtures.settings
}

test_a_call_with_an_access_token if holds({})

test_a_call_with_an_api_key_without_an_end if {
	holds({"client": {"auth": {"method": "key", "expires_in_seconds": null}}})
}

test_a_call_with_a_key if {
	holds({"client": {"auth": {"key": "k"}}, "session": {"bound": {"key": "k"}}})
}

test_not_for_a_credential_that_has_ended if not holds({"client": {"auth": {"expires_in_seconds": 0}}})
