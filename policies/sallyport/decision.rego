# METADATA
# title: The decision on one tool call
# description: >-
#   Makes one decision of the findings of all rule packages, the shipped ones and those of the site.
#   If a finding has grade "deny", or a grade that is none, the call is denied. Otherwise a rule must
#   allow the call, or it is denied (access.no_rule). Otherwise, if a finding has grade "rotate", the
#   outcome is "rotate"; else it is "allow". The decision has the shape of schemas/decision.json.
#
#   A finding is {"grade": "allow | rotate | deny", "reason": {"code", "params"},
#   "obligations": [...]}. Grade "allow" means that the security team lets this case pass: the
#   finding neither stops the call nor rotates, and its reason is reported as observed. It does not
#   allow the call either, only access.allow and the rules "allow" of the site do. The obligations of
#   all findings, whatever their grade, are part of the decision.
# schemas:
#   - input: schema.input
package sallyport

import data.sallyport.access
import data.sallyport.binding
import data.sallyport.freeze
import data.sallyport.hook
import data.sallyport.lifetime
import data.sallyport.listing
import data.sallyport.quiet
import data.sallyport.replay
import data.sallyport.shape
import data.sallyport.usage

# METADATA
# title: Decision
# description: The entrypoint for each tool call. It always gives a decision with at least one reason.
# entrypoint: true
decision := {"outcome": "allow", "reasons": allowing, "obligations": standing, "observed": []} if {
	count(findings) == 0
	count(shape.faults) == 0
	count(allowing) > 0
} else := {"outcome": outcome, "reasons": reasons, "obligations": obligations, "observed": observed}

# METADATA
# title: Visible tools
# description: The entrypoint for tools/list. It gives the names of the tools that this client is shown.
# entrypoint: true
visible := listing.visible - hook.hidden

shipped := set() if quiet.call

else := ((((access.findings | binding.findings) | freeze.findings) | lifetime.findings) | replay.findings) | usage.findings

findings := shipped | hook.findings

allowing := access.allow | hook.allow

denials contains finding.reason if {
	some finding in findings
	finding.grade == "deny"
	shape.is_reason(finding.reason)
}

rotations contains finding.reason if {
	some finding in findings
	finding.grade == "rotate"
}

# What was let pass (R-74). Where a stricter setting of a role or another rule has the same reason, that one is told.
observed contains finding.reason if {
	some finding in findings
	finding.grade == "allow"
	shape.is_reason(finding.reason)
	not finding.reason.code in {reason.code | some reason in (denials | rotations)}
}

refused if count(denials | shape.faults) > 0

default outcome := "deny"

outcome := "rotate" if {
	not refused
	count(allowing) > 0
	count(rotations) > 0
} else := "allow" if {
	not refused
	count(allowing) > 0
}

reasons := (denials | shape.faults) | unallowed if {
	refused
} else := access.no_rule if {
	count(allowing) == 0
} else := rotations if {
	count(rotations) > 0
} else := allowing

# A denied call that no rule allows says so beside the other reasons.
unallowed contains reason if {
	count(allowing) == 0
	some reason in access.no_rule
}

obligations := standing if count(findings) == 0

else := standing | {ordered |
	some finding in findings
	some obligation in finding.obligations
	shape.is_obligation(obligation)
	ordered := object.union(obligation, cause(finding, obligation))
}

standing := (access.masks | lifetime.limits) | hook.obligations

# An alert names the one finding that raised it (R-74).
cause(finding, obligation) := {"reason": finding.reason} if {
	obligation.type == "alert"
	shape.is_reason(finding.reason)
} else := {}
