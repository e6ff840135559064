# METADATA
# title: The client, key and network that a backend session is bound to
# description: >-
#   C02. A session serves the client, the key and the network it was opened with. A harmless change
#   of network rotates the session. Two networks at the same time mean that one of the two users may
#   be a thief with a copy of the credential, unless the client proves possession of its key, which a
#   copy of the credential does not have: such a client may move, and be in several places.
# schemas:
#   - input: schema.input
package sallyport.binding

import data.sallyport.access
import data.sallyport.settings

# METADATA
# title: Another client presents the session
# description: The client id is not the one that opened the session.
# custom:
#   reason: binding.client_changed
#   controls: [C02]
findings contains finding(each.binding.client, "binding.client_changed", {"part": "client_id"}) if {
	input.session.bound.client_id != input.client.id
	some each in settings.asked
}

# METADATA
# title: Another user presents the session
# description: The subject is not the one that opened the session.
# custom:
#   reason: binding.client_changed
#   controls: [C02]
findings contains finding(each.binding.client, "binding.client_changed", {"part": "subject"}) if {
	input.session.bound.subject != input.client.subject
	some each in settings.asked
}

# METADATA
# title: The client does not prove possession of the key of the session
# description: >-
#   The session was opened with a key, and this call proves possession of another key or of none.
#   A stolen access token alone cannot use such a session.
# custom:
#   reason: binding.key_changed
#   controls: [C02]
findings contains finding(each.binding.key, "binding.key_changed", {}) if {
	input.session.bound.key != input.client.auth.key
	input.session.bound.key != null
	some each in settings.asked
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
findings contains finding(each.binding.key_added, "binding.key_added", {}) if {
	is_null(input.session.bound.key)
	not is_null(input.client.auth.key)
	some each in settings.asked
}

# METADATA
# title: Another address in the same place
# description: >-
#   Clients behind an address pool change their address often, so the default grade is allow. A place
#   is a network, or several that the site knows as one (binding.places).
# custom:
#   reason: binding.ip_changed
#   controls: [C02]
findings contains finding(each.binding.ip, "binding.ip_changed", {}) if {
	slot.ip != input.client.ip
	here(slot.network)
	some each in settings.asked
}

# METADATA
# title: Another network
# description: >-
#   The call comes from another network than the session is bound to. Either no other network was in
#   use within the overlap window, as when a laptop was taken home from the office; or the client
#   proves possession of the key of the session, and is rotated once for each new network.
# custom:
#   reason: binding.network_changed
#   controls: [C02]
findings contains finding(each.binding.network, "binding.network_changed", {}) if {
	slot.network != input.client.network
	not here(slot.network)
	not known
	not refused_here
	moved
	some each in settings.asked
}

# The first half of a hand-over: nobody else is there any more, or it is the client itself for certain.
moved if {
	count(concurrent) == 0
	count(returns) == 0
}

moved if proven

# A network for which a client that proves its key was rotated before.
known if {
	proven
	some network in input.session.bound.networks
	here(network)
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
findings contains finding(each.binding.network_added, "binding.network_added", {"family": family}) if {
	is_null(input.session.bound[family])
	some each in settings.asked
}

# METADATA
# title: Going to and fro between two networks
# description: >-
#   Within the overlap window the client was used from one network, then from another of the same
#   address family, and then from the first again, without proof of possession of a key. Whoever moves
#   does not come back at once; two users of one credential do. By default the calls of both networks
#   are denied until nothing has come back for that long (R-13).
# custom:
#   reason: binding.concurrent_networks
#   controls: [C02, C03]
findings contains finding(each.binding.concurrent_networks, "binding.concurrent_networks", params) if {
	count(input.usage.networks) > 1
	not proven
	not refused_here
	count(returns) > 0
	params := {
		"crossing": "return",
		"last_seen_seconds": min(returns),
		"overlap_seconds": overlap_seconds,
	}
	some each in settings.asked
}

# METADATA
# title: A second network for the first time
# description: >-
#   The client was used from another network of the same address family within the overlap window,
#   does not prove possession of a key, and the session is not bound to this network yet. That is how
#   a hand-over looks (WLAN to mobile), and how a thief begins. By default the calls are denied until
#   the other network has not been used for that long (R-13, R-98).
# custom:
#   reason: binding.concurrent_networks
#   controls: [C02, C03]
findings contains finding(each.binding.first_crossing, "binding.concurrent_networks", params) if {
	count(input.usage.networks) > 1
	not proven
	not refused_here
	count(concurrent) > 0
	count(returns) == 0
	not settled
	params := {
		"crossing": "first",
		"last_seen_seconds": min(concurrent),
		"overlap_seconds": overlap_seconds,
	}
	some each in settings.asked
}

# The place is refused for itself, and says nothing about the session, which the call never reaches: whoever tries from
# there must not be able to end the session of its owner.
refused_here if count(access.out_of_place) > 0

# The session was moved here by an earlier call, which a rule has let pass.
settled if here(slot.network)

# Whoever proves possession of the key is no thief with a copy of the credential. Where there is a session, it must be
# the key of that session.
proven if {
	not is_null(input.client.auth.key)
	is_null(input.session)
}

proven if {
	not is_null(input.client.auth.key)
	input.session.bound.key == input.client.auth.key
}

# A session without a key is replaced by one with the key (binding.key_added), wherever the call comes from.
proven if {
	not is_null(input.client.auth.key)
	is_null(input.session.bound.key)
}

concurrent contains other.last_seen_seconds if {
	some other in input.usage.networks
	other.last_seen_seconds < overlap_seconds
	other.network != input.client.network
	same_family(other.network)
	not other.refused
	not here(other.network)
}

returns contains one.returned_seconds if {
	some one in input.usage.networks
	one.returned_seconds < overlap_seconds
	one.away_seconds < overlap_seconds
	same_family(one.network)
	not one.refused
	some other in input.usage.networks
	other.network == one.returned_from
	not other.refused
	not one_place(one.network, other.network)
}

# So many networks were used that the store had to forget one within the window. Whoever fills the list with networks
# would else hide the one that he comes from, or that of the owner.
returns contains input.usage.networks_dropped_seconds if {
	input.usage.networks_dropped_seconds < overlap_seconds
}

# A dual-stack client uses one network of each address family at the same time. That is no sign of theft (R-12).
same_family(network) if contains(network, ":") == contains(input.client.network, ":")

family := "ipv6" if contains(input.client.network, ":")

else := "ipv4"

# Whether a network is that of the call, or in one place with it.
here(network) if network == input.client.network

here(network) if {
	network != input.client.network
	one_place(network, input.client.network)
}

# Whether a site knows two networks as one place, such as the two exits of a proxy.
one_place(a, b) if {
	some place in settings.effective.binding.places
	within(a, place)
	within(b, place)
}

# A network is the smallest place there is: one that holds an address of the place belongs to it.
within(network, place) if {
	some part in place
	net.cidr_intersects(part, network)
}

# The longest window that is asked: it finds the slowest thief.
overlap_seconds := max([each.binding.overlap_seconds | some each in settings.asked])

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
