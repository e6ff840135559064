package sallyport.listing_test

import data.sallyport
import data.sallyport.fixtures
import data.sallyport.listing

tool(name) := {"name": name, "backend": "inventory", "effect": "read"}

ask := {
	"version": 1,
	"client": fixtures.call.client,
	"tools": [tool("stock_adjust"), tool("stock_list"), tool("stock_write_off")],
}

test_a_client_sees_what_its_role_lists if {
	listing.visible == {"stock_adjust", "stock_list"} with input as ask with data.settings as fixtures.settings
}

test_the_entrypoint_says_the_same if {
	sallyport.visible == {"stock_adjust", "stock_list"} with input as ask with data.settings as fixtures.settings
}

test_a_star_shows_every_tool if {
	asked := object.union(ask, {"client": {"roles": ["manager"]}})
	count(listing.visible) == 3 with input as asked with data.settings as fixtures.settings
}

test_an_unknown_role_shows_nothing if {
	asked := object.union(ask, {"client": {"roles": ["guest"]}})
	count(listing.visible) == 0 with input as asked with data.settings as fixtures.settings
}

test_a_tool_whose_scope_is_missing_is_shown_so_that_the_scope_can_be_asked_for if {
	asked := object.union(ask, {"client": {"scopes": []}})
	"stock_adjust" in listing.visible with input as asked with data.settings as fixtures.settings
}

test_a_tool_whose_scope_is_missing_is_hidden_when_the_settings_say_so if {
	asked := object.union(ask, {"client": {"scopes": []}})
	hiding := fixtures.with_settings({"access": {"hide_without_scope": true}})
	listing.visible == {"stock_list"} with input as asked with data.settings as hiding
}

test_a_tool_whose_scope_is_there_is_shown if {
	hiding := fixtures.with_settings({"access": {"hide_without_scope": true}})
	"stock_adjust" in listing.visible with input as ask with data.settings as hiding
}
