# METADATA
# title: What a rule may give
# description: >-
#   OPA does not type what rules produce, so a misspelt grade would be a control that is not there.
#   Whatever does not have the documented shape denies the call, and the reason says which rule gave it.
package sallyport.shape

# METADATA
# title: A rule gave a grade that is none
# description: >-
#   A grade is "allow", "rotate" or "deny", spelt exactly so. Anything else counts as "deny", because
#   whoever wrote the rule meant to say something about this call.
# custom:
#   reason: decision.unknown_grade
#   controls: [C01, C02, C03]
faults contains {"code": "decision.unknown_grade", "params": {"by": named(finding), "grade": said(grade)}} if {
	some finding in data.sallyport.findings
	grade := object.get(as_object(finding), "grade", null)
	not grade in {"allow", "rotate", "deny"}
}

# METADATA
# title: A rule gave something that has not the documented shape
# description: >-
#   The parameter "part" says what it is: a reason without a code or with a parameter that is neither
#   text, number, boolean nor null, an obligation that the connector does not know, a mask or a limit
#   that names no place, or a hook that is no set.
# custom:
#   reason: decision.wrong_shape
#   controls: [C01, C02, C03]
faults contains {"code": "decision.wrong_shape", "params": {"by": by, "part": part}} if some [by, part] in wrong

wrong contains [named(finding), "reason"] if {
	some finding in data.sallyport.findings
	not is_reason(object.get(as_object(finding), "reason", null))
}

wrong contains [named(finding), "obligations"] if {
	some finding in data.sallyport.findings
	not are_obligations(object.get(as_object(finding), "obligations", null))
}

wrong contains [named({"reason": reason}), "allow"] if {
	some reason in data.sallyport.hook.allow
	not is_reason(reason)
}

wrong contains [name, "masks"] if {
	some name
	some mask in data.site[name].masks
	not is_mask(mask)
}

wrong contains [name, "limits"] if {
	some name
	some limit in data.site[name].limits
	not is_limit(limit)
}

# A hook that is no set would be taken apart by "some … in", or left out. Each is named here: by a computed name, OPA
# 1.22.2 compiles to WebAssembly that does not load where a package of the site has a function.
wrong contains [name, "findings"] if {
	some name
	not is_set(data.site[name].findings)
	data.site[name].findings != null
}

wrong contains [name, "allow"] if {
	some name
	not is_set(data.site[name].allow)
	data.site[name].allow != null
}

wrong contains [name, "masks"] if {
	some name
	not is_set(data.site[name].masks)
	data.site[name].masks != null
}

wrong contains [name, "limits"] if {
	some name
	not is_set(data.site[name].limits)
	data.site[name].limits != null
}

is_reason(reason) if {
	object.keys(reason) == {"code", "params"}
	is_code(reason.code)
	is_object(reason.params)
	every value in reason.params { is_plain(value) }
}

# Without regular expressions, which would double the size of the compiled policy. A text of nothing but these
# characters is empty when they are trimmed from its ends.
is_code(code) if {
	trim(code, "abcdefghijklmnopqrstuvwxyz0123456789_.") == ""
	parts := split(code, ".")
	count(parts) > 1
	every part in parts { contains("abcdefghijklmnopqrstuvwxyz", substring(part, 0, 1)) }
	not "" in parts
}

is_plain(value) if type_name(value) in {"string", "number", "boolean", "null"}

are_obligations(obligations) if {
	type_name(obligations) in {"array", "set"}
	every obligation in obligations { is_obligation(obligation) }
}

is_obligation({"type": "alert", "severity": severity}) if severity in {"low", "medium", "high"}

is_obligation({"type": "revoke_session"})

is_obligation({"type": "require_scope", "scope": scope}) if {
	scope != ""
	trim(scope, concat("", [
		"!#$%&'()*+,-./0123456789:;<=>?@[]^_`{|}~",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	])) == ""
}

is_obligation({"type": "limit_sessions", "limit": limit}) if is_count(limit)

is_obligation({"type": "limit_result", "pointer": pointer, "items": items}) if {
	is_pointer(pointer)
	is_count(items)
}

is_obligation({"type": "mask", "pointers": pointers}) if are_pointers(pointers)

is_obligation({"type": "mask", "pointers": pointers, "required": required}) if {
	are_pointers(pointers)
	is_boolean(required)
}

is_mask(mask) if {
	object.keys(mask) - {"required"} == {"pointers", "except_roles"}
	are_pointers(mask.pointers)
	are_names(mask.except_roles)
	is_boolean(object.get(mask, "required", false))
}

is_limit(limit) if {
	object.keys(limit) == {"pointer", "items", "except_roles"}
	is_pointer(limit.pointer)
	is_count(limit.items)
	are_names(limit.except_roles)
}

are_pointers(pointers) if {
	type_name(pointers) in {"array", "set"}
	count(pointers) > 0
	every pointer in pointers { is_pointer(pointer) }
}

is_pointer(pointer) if {
	startswith(pointer, "/")
	not contains(replace(replace(pointer, "~0", ""), "~1", ""), "~")
}

are_names(names) if {
	type_name(names) in {"array", "set"}
	every name in names { is_string(name) }
}

is_count(value) if {
	is_number(value)
	value >= 1
	floor(value) == value
}

as_object(value) := value if is_object(value)

else := {}

named(finding) := finding.reason.code if is_reason(finding.reason)

else := "a rule"

# A grade may have been computed from an argument, and what is in no log must not get there by a mistake in a rule.
said(grade) := grade if {
	lower(grade) in {"allow", "allowed", "rotate", "rotated", "deny", "denied", "block", "reject", "refuse"}
}

else := type_name(grade)
