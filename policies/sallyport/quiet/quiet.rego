# METADATA
# title: The usual call
# description: >-
#   Nearly every call is one of which no shipped rule has anything to say. This rule sees that in one go, and the
#   decision is then spared the findings of each rule. It only saves time: whenever it is in doubt it does not hold, and
#   the rules are asked one by one. It says nothing about who may call which tool, nor about the rules of the site; both
#   are asked for each call. A test in CI decides 20,000 generated calls with it and without it, and they are the same.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.quiet

import data.sallyport.binding
import data.sallyport.settings

# METADATA
# title: No shipped rule has a finding
# description: >-
#   Where a rule of access, binding, lifetime, replay or usage is added or looks at something more, the condition under
#   which it is silent belongs here.
call if {
	not input.freeze
	count(settings.asked) == 1
	some each in settings.asked
	in_its_rights
	bound_to(input.session.bound)
	young(input.session, each.lifetime)
	told_apart
	seldom(input.usage, each.usage)
}

# access: no scope is lacking, no role of the client is kept to networks, and the credential has not expired.
in_its_rights if {
	not lacks_scope
	not kept_to_networks
	not expired
}

lacks_scope if {
	some scope in data.settings.access.scopes[input.tool.name]
	not scope in input.client.scopes
}

kept_to_networks if {
	some role in input.client.roles
	data.settings.access.networks[role]
}

expired if {
	input.client.auth.expires_in_seconds != null
	input.client.auth.expires_in_seconds <= 0
}

# binding: the client, key, address and network of the session, and no other network in the last hour.
bound_to(bound) if {
	bound.client_id == input.client.id
	bound.subject == input.client.subject
	bound.key == input.client.auth.key
	bound[binding.family] == {"ip": input.client.ip, "network": input.client.network}
	count(input.usage.networks) == 1
	not input.usage.networks_dropped_seconds
}

# lifetime
young(session, limits) if {
	session.token_age_seconds < limits.token_age.limit_seconds
	session.token_uses < limits.token_uses.limit
	session.idle_seconds < limits.idle.limit_seconds
	session.age_seconds < limits.absolute.limit_seconds
}

# replay: a source, and an id that is new in a history that is whole.
told_apart if {
	input.replay.source != null
	input.replay.seen == false
	not input.replay.history == "lost"
	input.usage.forgotten == false
}

# usage
seldom(counted, limits) if {
	counted.calls_1m <= limits.calls_per_minute
	counted.calls_1h <= limits.calls_per_hour
	counted.in_flight <= limits.in_flight
	counted.denials_1h <= limits.denials_per_hour
}
