# METADATA
# title: The decision on one tool call
# description: >-
#   Makes one decision of the findings of all rule packages. If a finding has grade "deny", the call
#   is denied. Otherwise access.allow must allow the call, or it is denied (access.no_rule).
#   Otherwise, if a finding has grade "rotate", the outcome is "rotate"; else it is "allow". The
#   decision has the shape of schemas/decision.json.
#
#   A finding is {"grade": "allow | rotate | deny", "reason": {"code", "params"},
#   "obligations": [...]}. Grade "allow" means that the security team lets this case pass: the
#   finding neither stops the call nor rotates, and its reason is not reported. It does not allow
#   the call either, only access.allow does. The obligations of all findings, whatever their grade,
#   are part of the decision.
# schemas:
#   - input: schema.input
package sallyport

import data.sallyport.access
import data.sallyport.binding
import data.sallyport.lifetime
import data.sallyport.listing
import data.sallyport.replay
import data.sallyport.usage

# METADATA
# title: Decision
# description: The entrypoint for each tool call. It always gives a decision with at least one reason.
# entrypoint: true
decision := {"outcome": outcome, "reasons": reasons, "obligations": obligations}

# METADATA
# title: Visible tools
# description: The entrypoint for tools/list. It gives the names of the tools that this client is shown.
# entrypoint: true
visible := listing.visible

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
