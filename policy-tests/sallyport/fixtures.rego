# The input that every test starts from and changes: a clerk's call with a session in which no rule is hit.
package sallyport.fixtures

call := {
	"version": 1,
	"time": {"rfc3339": "2026-11-23T09:00:00.000Z", "unix_ms": 1795424400000, "weekday": "monday", "hour": 9},
	"client": {
		"id": "agent-7", "subject": "alice", "issuer": "https://idp.example",
		"roles": ["clerk"], "scopes": ["stock:write"],
		"ip": "10.1.2.3", "network": "10.1.2.0/24", "user_agent": "agent/1",
		"auth": {"method": "jwt", "age_seconds": 40, "expires_in_seconds": 560, "key": null},
	},
	"tool": {"name": "stock_list", "backend": "inventory", "effect": "read", "arguments": {}},
	"session": {
		"id": "5f0c", "generation": 3, "token_age_seconds": 10, "age_seconds": 50, "idle_seconds": 5, "token_uses": 4,
		"bound": {
			"client_id": "agent-7", "subject": "alice", "key": null,
			"ipv4": {"ip": "10.1.2.3", "network": "10.1.2.0/24"}, "ipv6": null,
		},
	},
	"usage": {
		"calls_1m": 3, "calls_1h": 41, "denials_1h": 0, "in_flight": 1, "seconds_since_last_call": 5,
		"networks": [{"network": "10.1.2.0/24", "calls": 41, "last_seen_seconds": 5}],
		"forgotten": false,
	},
	"replay": {"source": "rpc_id", "seen": false, "first_seen_seconds": null, "same_network": null},
}

changed(changes) := object.union(call, changes)

settings := loaded(written)

written := {
	"access": {
		"roles": {"clerk": {"tools": ["stock_list", "stock_adjust"]}, "manager": {"tools": ["*"]}},
		"scopes": {"stock_adjust": ["stock:write"]},
		"hide_without_scope": false,
		"networks": {},
		"masks": {"stock_list": {"pointers": ["/price"], "except_roles": ["manager"]}},
	},
	"binding": {
		"client": "deny", "key": "deny", "key_added": "rotate", "ip": "allow", "network": "rotate", "network_added": "rotate",
		"first_crossing": "deny", "concurrent_networks": "deny", "overlap_seconds": 120, "places": {},
	},
	"lifetime": {
		"token_age": {"limit_seconds": 300, "grade": "rotate"},
		"token_uses": {"limit": 500, "grade": "rotate"},
		"idle": {"limit_seconds": 900, "grade": "rotate"},
		"absolute": {"limit_seconds": 28800, "grade": "deny"},
		"sessions_per_client": 100,
	},
	"replay": {
		"seen": "deny", "history_lost": "rotate", "revoke_on_other_network": true, "require_source_for": ["destructive"],
	},
	"usage": {"calls_per_minute": 60, "calls_per_hour": 600, "in_flight": 8, "denials_per_hour": 20},
	"backends": {},
	"tools": {},
}

with_settings(changes) := loaded(object.union(written, changes))

# As the connector loads settings without overrides for backends, tools or roles.
loaded(general) := object.union(general, {"merged": {
	"binding": [general.binding],
	"lifetime": [general.lifetime],
	"replay": [general.replay],
	"usage": [general.usage],
	"site": [object.get(general, "site", {})],
	"at": {"": {"": {"": {"binding": 0, "lifetime": 0, "replay": 0, "usage": 0, "site": 0}}}},
	"tools": {role: {tool: true | some tool in listed.tools} | some role, listed in general.access.roles},
}})

codes(findings) := {code | some finding in findings; code := finding.reason.code}

grades(findings) := {grade | some finding in findings; grade := finding.grade}
