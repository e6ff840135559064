# METADATA
# title: The decision on one tool call
# description: >-
#   Combines what the rule packages find. Any deny wins, then any rotate; otherwise an access rule
#   must allow; otherwise the call is refused. The document has the shape of
#   schemas/decision.json.
#
#   A finding is {"grade": "allow | rotate | deny", "reason": {"code", "params"},
#   "obligations": [...]}. A finding of grade "allow" is one the security team has chosen to let
#   pass; it never allows a call by itself, only access.allow does.
# schemas:
#   - input: schema.input
package sallyport

import data.sallyport.access
import data.sallyport.binding
import data.sallyport.lifetime
import data.sallyport.replay
import data.sallyport.usage

# METADATA
# title: Decision
# description: The entrypoint. Always defined, always with at least one reason.
# entrypoint: true
decision := {"outcome": outcome, "reasons": reasons, "obligations": obligations}

findings := (((access.findings | binding.findings) | lifetime.findings) | replay.findings) | usage.findings

denials contains finding.reason if {
	some finding in findings
	finding.grade == "deny"
}

rotations contains finding.reason if {
	some finding in findings
	finding.grade == "rotate"
}

default outcome := "deny"

outcome := "allow" if {
	count(findings) == 0
	count(access.allow) > 0
} else := "rotate" if {
	count(denials) == 0
	count(rotations) > 0
	count(access.allow) > 0
} else := "allow" if {
	count(denials) == 0
	count(access.allow) > 0
}

reasons := denials if {
	count(findings) > 0
	count(denials) > 0
} else := access.no_rule if {
	count(access.allow) == 0
} else := rotations if {
	count(findings) > 0
	count(rotations) > 0
} else := access.allow

obligations := access.masks | lifetime.limits if count(findings) == 0

else := (access.masks | lifetime.limits) | {obligation | some obligation in findings[_].obligations}
