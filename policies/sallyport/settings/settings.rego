# METADATA
# title: The settings that hold for this call
# description: >-
#   The settings of data.yaml with the overrides for the backend and the tool of the call applied. An
#   override for the tool wins over one for the backend, and that one wins over the general value. An
#   override changes only the values that it names.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.settings

# METADATA
# title: Settings after overrides
# description: >-
#   Calls without an override, the usual case, take data.settings as it is after two look-ups. They
#   are treated apart because merging objects is slow in WebAssembly.
effective := data.settings if not overridden

else := object.union_n([
	data.settings,
	object.get(data.settings.backends, input.tool.backend, {}),
	object.get(data.settings.tools, input.tool.name, {}),
])

overridden if data.settings.backends[input.tool.backend]

overridden if data.settings.tools[input.tool.name]
