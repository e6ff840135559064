package site.travel

# METADATA
# title: Too many networks in an hour
# description: >-
#   A person is in two or three networks in an hour; a credential that is passed around is in more.
# custom:
#   reason: travel.networks
#   controls: [C02, C03]
findings contains {"grade": "deny", "reason": {"code": "travel.networks", "params": {"count": count(input.usage.networks)}}, "obligations": [{"type": "alert", "severity": "high"}]} if {
	count(input.usage.networks) > 3
}
