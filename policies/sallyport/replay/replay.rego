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
	"grade": each.replay.seen,
	"reason": {"code": "replay.seen", "params": named},
	"obligations": [{"type": "alert", "severity": "high"}],
} if {
	input.replay.seen
	not untold
	some each in settings.asked
}

# A copy has the handle and the id of its original, by which that one is found in the log.
named := {"source": input.replay.source, "handle": handle, "rpc_id": id} if {
	handle := input.replay.handle
	id := input.replay.rpc_id
} else := {"source": input.replay.source}

# In a conversation whose history the store lost, an id that is not remembered may have been used before the loss or
# never. That is no sign of an attack: calls that run in parallel arrive in any order.
untold if {
	input.replay.history == "lost"
	input.replay.first_seen_seconds == null
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
	"reason": {"code": "replay.seen_elsewhere", "params": named},
	"obligations": [{"type": "revoke_session"}],
} if {
	input.replay.seen
	input.replay.same_network == false
	some each in settings.asked
	each.replay.revoke_on_other_network
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
	"grade": each.replay.history_lost,
	"reason": {"code": "replay.history_lost", "params": {}},
	"obligations": [],
} if {
	input.usage.forgotten
	some each in settings.asked
}

# METADATA
# title: The conversation has no history that could tell a copy of this call
# description: >-
#   The store lost the ids that were used in this conversation. It goes on, but for its whole life it
#   cannot tell a copy of a call that was made before the loss: a tool that needs replay protection is
#   denied, and so is an id from before the first one heard after the loss. A new conversation
#   (initialize) has a history of its own.
# custom:
#   reason: replay.history_lost
#   controls: [C03]
findings contains {
	"grade": "deny",
	"reason": {"code": "replay.history_lost", "params": {"effect": input.tool.effect}},
	"obligations": [],
} if {
	input.replay.history == "lost"
	needs_history
}

needs_history if needs_source

needs_history if {
	input.replay.seen
	untold
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
	needs_source
}

needs_source if {
	some each in settings.asked
	input.tool.effect in each.replay.require_source_for
}
