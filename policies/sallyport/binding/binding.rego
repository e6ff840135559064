# METADATA
# title: The client, key and network that a backend session is bound to
# description: >-
#   C02. A session serves the client, the key and the network it was opened with. A harmless change
#   of network rotates the session. Two networks at the same time mean that one of the two users may
#   be a thief with a copy of the credential.
# schemas:
#   - input: schema.input
package sallyport.binding

import data.sallyport.settings

# METADATA
# title: Another client presents the session
# description: The client id is not the one that opened the session.
# custom:
#   reason: binding.client_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.client, "binding.client_changed", {"part": "client_id"}) if {
	input.session.bound.client_id != input.client.id
}

# METADATA
# title: Another user presents the session
# description: The subject is not the one that opened the session.
# custom:
#   reason: binding.client_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.client, "binding.client_changed", {"part": "subject"}) if {
	input.session.bound.subject != input.client.subject
}

# METADATA
# title: The client does not prove possession of the key of the session
# description: >-
#   The session was opened with a key, and this call proves possession of another key or of none.
#   A stolen access token alone cannot use such a session.
# custom:
#   reason: binding.key_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.key, "binding.key_changed", {}) if {
	input.session.bound.key != input.client.auth.key
	input.session.bound.key != null
}

# METADATA
# title: The client proves possession of a key for the first time
# description: >-
#   The session was opened without a key, so anybody with a copy of the credential may have opened
#   it. It is replaced by a session that is bound to the key: the old one never serves a call with a
#   key, and the new one never serves a call without it (R-05).
# custom:
#   reason: binding.key_added
#   controls: [C02]
findings contains finding(settings.effective.binding.key_added, "binding.key_added", {}) if {
	is_null(input.session.bound.key)
	not is_null(input.client.auth.key)
}

# METADATA
# title: Another address in the same network
# description: Clients behind an address pool change their address often, so the default grade is allow.
# custom:
#   reason: binding.ip_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.ip, "binding.ip_changed", {}) if {
	slot.ip != input.client.ip
	slot.network == input.client.network
}

# METADATA
# title: Another network
# description: >-
#   The call comes from another network than the session is bound to, and no other network was in
#   use within the overlap window; for example, a laptop was taken home from the office.
# custom:
#   reason: binding.network_changed
#   controls: [C02]
findings contains finding(settings.effective.binding.network, "binding.network_changed", {}) if {
	slot.network != input.client.network
	count(concurrent) == 0
}

# METADATA
# title: Another address family for the first time
# description: >-
#   The session was opened over IPv4 and this is its first call over IPv6, or the reverse.
#   Dual-stack clients do this. By default the session is rotated once, and is then bound to one
#   network of each address family (R-12).
# custom:
#   reason: binding.network_added
#   controls: [C02]
findings contains finding(settings.effective.binding.network_added, "binding.network_added", {"family": family}) if {
	is_null(input.session.bound[family])
}

# METADATA
# title: Two networks at the same time
# description: >-
#   This client was used from another network of the same address family within the overlap window.
#   By default the calls of both networks are denied until one of the two has made none for that
#   long (R-13).
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

# A dual-stack client uses one network of each address family at the same time. That is no sign of theft (R-12).
same_family(network) if contains(network, ":") == contains(input.client.network, ":")

family := "ipv6" if contains(input.client.network, ":")

else := "ipv4"

# The address and network that the session is bound to in the address family of the call.
slot := input.session.bound[family]

# A finding of grade "deny" also ends the session, which may be in the hands of a thief, and alerts a person.
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
