package site.contractors

# METADATA
# title: A contractor outside the VPN
# description: >-
#   A contractor works from the networks of the VPN and from nowhere else.
# custom:
#   reason: contractors.outside
#   controls: [C02]
#   own_place: true
findings contains {"grade": "deny", "reason": {"code": "contractors.outside", "params": {}}, "obligations": []} if {
	"contractor" in input.client.roles
	not net.cidr_contains("10.8.0.0/16", input.client.ip)
}
