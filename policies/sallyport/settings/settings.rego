# METADATA
# title: The settings that hold for this call
# description: >-
#   One group of settings after overrides. The tool wins over the backend, the backend over the
#   general value.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.settings

# METADATA
# title: Binding settings for this call
binding := effective("binding")

# METADATA
# title: Lifetime settings for this call
lifetime := effective("lifetime")

# METADATA
# title: Replay settings for this call
replay := effective("replay")

# METADATA
# title: Usage settings for this call
usage := effective("usage")

# The usual case, no override at all, costs two look-ups; merging objects costs far more in WASM.
effective(group) := data.settings[group] if not overridden

else := object.union_n([
	data.settings[group],
	object.get(data.settings.backends, [input.tool.backend, group], {}),
	object.get(data.settings.tools, [input.tool.name, group], {}),
])

overridden if data.settings.backends[input.tool.backend]

overridden if data.settings.tools[input.tool.name]
