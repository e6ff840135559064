# METADATA
# title: The settings that hold for this call
# description: >-
#   data.yaml after overrides. The tool wins over the backend, the backend over the general value;
#   what an override does not name stays as it is.
# schemas:
#   - input: schema.input
#   - data.settings: schema.settings
package sallyport.settings

# METADATA
# title: Settings after overrides
# description: Without an override, the usual case, this is two look-ups; merging costs far more in WASM.
effective := data.settings if not overridden

else := object.union_n([
	data.settings,
	object.get(data.settings.backends, input.tool.backend, {}),
	object.get(data.settings.tools, input.tool.name, {}),
])

overridden if data.settings.backends[input.tool.backend]

overridden if data.settings.tools[input.tool.name]
