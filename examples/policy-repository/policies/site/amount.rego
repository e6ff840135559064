package site.amount

import data.sallyport.settings

# METADATA
# title: More than one call may move
# description: A mistake in a number, or somebody who empties a store. Such a movement is made by a person.
# custom:
#   reason: amount.too_large
#   controls: [C02, ISO27001-A.5.3]
findings contains {"grade": "deny", "reason": {"code": "amount.too_large", "params": {"most": most}}, "obligations": []} if {
	some each in settings.asked
	most := each.site.most_moved
	abs(input.tool.arguments.delta) > most
}
