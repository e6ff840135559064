# METADATA
# title: To whom and where a backend session is bound
# description: >-
#   C02. A session serves the client, the key and the network that opened it. A benign change of
#   network rotates; two networks at the same time mean that one of them may be a thief.
# schemas:
#   - input: schema.input
package sallyport.binding

import data.sallyport.settings

# METADATA
# title: Another client presents the session
# description: The client id differs from the one that opened the session.
# custom:
#   reason: binding.client_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.client, "binding.client_changed", {"part": "client_id"}) if {
	input.session.bound.client_id != input.client.id
}

# METADATA
# title: Another user presents the session
# description: The subject differs from the one that opened the session.
# custom:
#   reason: binding.client_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.client, "binding.client_changed", {"part": "subject"}) if {
	input.session.bound.subject != input.client.subject
}

# METADATA
# title: Another key, or none, proves possession
# description: Only when the session was opened with a key.
# custom:
#   reason: binding.key_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.key, "binding.key_changed", {}) if {
	input.session.bound.key != input.client.auth.key
	input.session.bound.key != null
}

# METADATA
# title: Another address in the same network
# description: Common behind address pools, so the default lets it pass.
# custom:
#   reason: binding.ip_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.ip, "binding.ip_changed", {}) if {
	slot.ip != input.client.ip
	slot.network == input.client.network
}

# METADATA
# title: Another network
# description: The other network is no longer in use. A laptop that left the office, for example.
# custom:
#   reason: binding.network_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.network, "binding.network_changed", {}) if {
	slot.network != input.client.network
	count(concurrent) == 0
}

# METADATA
# title: The other address family
# description: >-
#   The session was opened over IPv4 and the call comes over IPv6, or the reverse, for the first
#   time. Dual-stack clients do this; the default rotates once, and the session is then bound to a
#   network of each family (R-12).
# custom:
#   reason: binding.network_added
#   controls: [C02]
findings contains finding(settings.effective.binding.network_added, "binding.network_added", {"family": family}) if {
	is_null(input.session.bound[family])
}

# METADATA
# title: Two networks at the same time
# description: >-
#   Another network of the same address family used this client's credential within the overlap
#   window. Both sides are refused until one of them has been quiet for that long (R-13).
# custom:
#   reason: binding.concurrent_networks
#   controls: [C02, C03]
findings contains finding(settings.effective.binding.concurrent_networks, "binding.concurrent_networks", params) if {
	count(input.usage.networks) > 1
	params := {
		"last_seen_seconds": min(concurrent),
		"overlap_seconds": settings.effective.binding.overlap_seconds,
	}
}

concurrent contains other.last_seen_seconds if {
	some other in input.usage.networks
	other.network != input.client.network
	same_family(other.network)
	other.last_seen_seconds < settings.effective.binding.overlap_seconds
}

# A dual-stack client uses one network of each family, and that is no sign of theft (R-12).
same_family(network) if contains(network, ":") == contains(input.client.network, ":")

family := "ipv6" if contains(input.client.network, ":")

else := "ipv4"

# The place of the session in the address family of the call.
slot := input.session.bound[family]

# A broken binding that is refused ends the session and is told to a person.
finding(grade, code, params) := {
	"grade": grade,
	"reason": {"code": code, "params": params},
	"obligations": obligations[grade],
}

obligations := {
	"allow": [],
	"rotate": [{"type": "alert", "severity": "low"}],
	"deny": [{"type": "alert", "severity": "high"}, {"type": "revoke_session"}],
}
