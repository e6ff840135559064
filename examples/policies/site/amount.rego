package site.amount

import data.sallyport.settings

# METADATA
# title: More than a role may move
# description: >-
#   A limit on an argument. It is a setting, and a role can have a stricter one.
# custom:
#   reason: amount.too_large
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "amount.too_large", "params": {"most": most}}, "obligations": []} if {
	some each in settings.asked
	most := each.site.most_moved
	abs(input.tool.arguments.delta) > most
}

# METADATA
# title: A quantity that is no number
# description: >-
#   In Rego every text sorts after every number, so what is no number must be denied by itself.
# custom:
#   reason: amount.no_number
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "amount.no_number", "params": {}}, "obligations": []} if {
	input.tool.name == "stock_adjust"
	not is_number(input.tool.arguments.delta)
}
