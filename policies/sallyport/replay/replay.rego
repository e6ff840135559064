# METADATA
# title: Replayed calls
# description: >-
#   C03. The connector remembers the JSON-RPC ids that were used within one handle (Mcp-Session-Id).
#   A second use of an id is a replay, whoever sends it. The connector also remembers DPoP proofs,
#   and refuses a copied proof at authentication, before the policy is asked.
# schemas:
#   - input: schema.input
package sallyport.replay

import data.sallyport.settings

# METADATA
# title: The id of the call was used before
# description: >-
#   The parameter "source" says which id it was; "rpc_id" is the JSON-RPC id. An id that is too old
#   for the connector to know whether it was used counts as used.
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
# title: The id of the call was used before, from another network
# description: >-
#   Somebody else probably has a copy of the call and of the credential. The call is denied, and the
#   backend session that it would have used is revoked.
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
#   The store was emptied, restarted or failed over, so it may no longer know of an earlier use of
#   this id or of a call from a second network. By default the session is replaced before the call is
#   sent, because what was known about it can no longer be relied on (R-29).
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
# description: A call without a handle and without a DPoP proof cannot be told from a copy of itself, so it is denied.
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
