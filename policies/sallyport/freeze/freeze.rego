# METADATA
# title: What operators have frozen
# description: >-
#   An operator can freeze everything, a backend, a tool, a role, a client or a subject while the connector runs, with a
#   reason and perhaps an end. Which freezes mean this call is a fact; that they deny it is this rule.
# schemas:
#   - input: schema.input
package sallyport.freeze

# METADATA
# title: A freeze is in force
# description: Kill switch, and the pause of a backend. Who, why and until when are told to the client and stand on record.
# custom:
#   reason: freeze.active
#   controls: [C01, C02, C03]
findings contains {
	"grade": "deny",
	"reason": {"code": "freeze.active", "params": each},
	"obligations": [],
} if {
	some each in input.freeze
}
