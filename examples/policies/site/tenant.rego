package site.tenant

# METADATA
# title: Goods of another tenant
# description: >-
#   The credential says which tenant the client belongs to. Without that claim nothing is its own.
# custom:
#   reason: tenant.foreign
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "tenant.foreign", "params": {}}, "obligations": []} if {
	input.tool.arguments.sku
	not own
}

# A rule of its own: inside "not", a claim that is missing would leave out the whole rule instead of denying.
own if startswith(input.tool.arguments.sku, concat("", [input.client.claims.tenant, "-"]))
