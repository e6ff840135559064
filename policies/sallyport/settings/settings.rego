# METADATA
# title: The settings that hold for this call
# description: >-
#   What data.yaml and the shipped defaults say, merged when they were loaded: an override for the tool
#   wins over one for the backend, and that one over the general value. An override changes only the
#   values that it names. Roles come in addition and can only tighten.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.settings

# METADATA
# title: Settings after the overrides for backend and tool
effective := view("")

# METADATA
# title: All settings that are asked
# description: >-
#   The effective settings first, then those of each role of the client that has settings of its own.
#   A rule asks each of them, so that a role can add a stricter limit and never take one away.
asked := [view(role) | some role in array.concat([""], stricter)]

stricter := [role |
	some role in input.client.roles
	role != ""
	data.settings.merged.at[role]
]

# Where the merged settings for a role stand. Only what has overrides has an entry of its own; "" stands for the rest.
view(role) := {
	"binding": data.settings.merged.binding[place.binding],
	"lifetime": data.settings.merged.lifetime[place.lifetime],
	"replay": data.settings.merged.replay[place.replay],
	"usage": data.settings.merged.usage[place.usage],
	"site": data.settings.merged.site[place.site],
} if {
	place := data.settings.merged.at[role][backend][tool]
}

backend := input.tool.backend if data.settings.merged.at[""][input.tool.backend]

else := ""

tool := input.tool.name if data.settings.merged.at[""][""][input.tool.name]

else := ""
