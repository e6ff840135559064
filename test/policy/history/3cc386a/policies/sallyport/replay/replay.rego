# METADATA
# title: A call that was seen before
# description: >-
#   C03. The connector remembers each DPoP proof, or each JSON-RPC id within one handle. A second
#   use is a replay, whoever sends it.
# schemas:
#   - input: schema.input
package sallyport.replay

import data.sallyport.settings

# METADATA
# title: The call was seen before
# description: Source says what was recognised, a DPoP proof or a JSON-RPC id.
# custom:
#   reason: replay.seen
#   controls: [C03]
findings contains {
	"grade": settings.effective.replay.seen,
	"reason": {"code": "replay.seen", "params": {"source": input.replay.source}},
	"obligations": [{"type": "alert", "severity": "high"}],
} if {
	input.replay.seen
}

# METADATA
# title: The call was seen before, from another network
# description: A copy in other hands. The backend session it was aimed at ends.
# custom:
#   reason: replay.seen_elsewhere
#   controls: [C02, C03]
findings contains {
	"grade": "deny",
	"reason": {"code": "replay.seen_elsewhere", "params": {"source": input.replay.source}},
	"obligations": [{"type": "revoke_session"}],
} if {
	input.replay.seen
	input.replay.same_network == false
	settings.effective.replay.revoke_on_other_network
}

# METADATA
# title: The store lost what it knew of the client
# description: >-
#   Emptied, restarted or failed over since the client's last call, so a replay or a second network
#   may be forgotten. The session is replaced before anything rests on it (R-29).
# custom:
#   reason: replay.history_lost
#   controls: [C01, C03]
findings contains {
	"grade": settings.effective.replay.history_lost,
	"reason": {"code": "replay.history_lost", "params": {}},
	"obligations": [],
} if {
	input.usage.forgotten
}

# METADATA
# title: The tool needs replay protection and the call has none
# description: A call without a handle and without a DPoP proof cannot be told from a copy of itself.
# custom:
#   reason: replay.source_missing
#   controls: [C03]
findings contains {
	"grade": "deny",
	"reason": {"code": "replay.source_missing", "params": {"effect": input.tool.effect}},
	"obligations": [],
} if {
	input.replay.source == null
	input.tool.effect in settings.effective.replay.require_source_for
}
