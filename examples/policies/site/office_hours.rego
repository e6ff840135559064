package site.office_hours

import data.sallyport.settings

# METADATA
# title: Outside office hours
# description: >-
#   Writes are made in office hours of the head office, by its own clock. Summer time is part of it.
# custom:
#   reason: office_hours.closed
#   controls: [C02, ISO27001-A.5.15]
findings contains {"grade": "deny", "reason": {"code": "office_hours.closed", "params": {"hour": now.hour}}, "obligations": []} if {
	now := input.time.zones["Europe/Berlin"]
	input.tool.effect != "read"
	not open(now)
}

open(now) if {
	now.weekday in settings.effective.site.office.days
	now.hour in numbers.range(settings.effective.site.office.opens, settings.effective.site.office.closes - 1)
}
