// Mistakes in what a rule gives: grades, reasons, METADATA, obligations.
import { CASES, changed, METADATA, type Mistake, RULE } from './rule.ts';

export const GIVEN: Record<string, Mistake> = {
  'a grade in the past tense': {
    files: changed('"grade": "deny"', '"grade": "denied"'),
    message: /grade "denied" is none: write one of "allow", "rotate", "deny"/,
  },
  'a grade in capitals': { files: changed('"grade": "deny"', '"grade": "DENY"'), message: /grade "DENY" is none/ },
  'a misspelt grade behind a local name': {
    files: {
      'site/night.rego': RULE.replace('"grade": "deny"', '"grade": grade').replace(
        '\tinput.tool.effect ==',
        '\tgrade := "Deny"\n\tinput.tool.effect ==',
      ),
    },
    message: /grade "Deny" is none/,
  },
  'a misspelt grade through a function': {
    files: {
      'site/night.rego': `package site.night\n\n${METADATA}findings contains finding("denyed") if input.time.hour < 6\n\nfinding(grade) := {"grade": grade, "reason": {"code": "night.closed", "params": {}}, "obligations": []}\n`,
    },
    message: /grade "denyed" is none/,
  },
  'a reason without METADATA': {
    files: { 'site/night.rego': RULE.replace(METADATA, '') },
    message: /reason "night\.closed" has no METADATA with custom\.reason/,
  },
  'METADATA of another reason': {
    files: changed('reason: night.closed', 'reason: night.close'),
    message: /METADATA describes reason "night\.close", which no rule gives/,
  },
  'METADATA without controls': {
    files: changed('#   controls: [ISO27001-A.8.15]\n', ''),
    message: /METADATA has a reason but no controls/,
  },
  'METADATA without a description': {
    files: changed(/# description:.*\n/, ''),
    message: /METADATA has a reason but no description/,
  },
  'a reason code that is computed': {
    files: changed('"code": "night.closed"', '"code": concat(".", ["night", "closed"])'),
    message: /reason code of this rule cannot be read: write it out/,
  },
  'a reason code that is none': {
    files: { 'site/night.rego': RULE.replaceAll('night.closed', 'Night closed') },
    message: /"Night closed" is no reason code/,
  },
  'a reason of the shipped rules': {
    files: { 'site/night.rego': RULE.replaceAll('night.closed', 'usage.denials') },
    message: /reason "usage\.denials" belongs to the shipped rules/,
  },
  'a reason of the connector': {
    files: { 'site/night.rego': RULE.replaceAll('night.closed', 'backend.rejected') },
    message: /belongs to the shipped rules or to the connector/,
  },
  'a parameter that is a list': {
    files: changed('{"hour": input.time.hour}', '{"hours": [1, 2]}'),
    message: /parameter "hours" is a list or an object/,
  },
  'params that are no object': {
    files: changed('{"hour": input.time.hour}', '[]'),
    message: /the params of a reason are an object/,
  },
  'an obligation that there is not': {
    files: changed('"type": "alert"', '"type": "notify"'),
    message: /obligation "notify" is not known: there are "alert", "revoke_session"/,
  },
  'an obligation without its field': {
    files: changed(', "severity": "high"', ''),
    message: /obligation "alert" lacks "severity"/,
  },
  'an obligation with another severity': {
    files: changed('"high"', '"critical"'),
    message: /"severity" of obligation "alert" cannot be "critical"/,
  },
  'an obligation with a field too many': {
    files: changed('"severity": "high"', '"severity": "high", "to": "me"'),
    message: /obligation "alert" has no "to"/,
  },
  'obligations that are one object': {
    files: changed('[{"type": "alert", "severity": "high"}]', '{"type": "alert", "severity": "high"}'),
    message: /obligations are a list of objects/,
  },
  'a case that shows a grade that is none': {
    files: {
      'site/night.rego': RULE.replace('"grade": "deny"', '"grade": concat("", ["den", "ied"])'),
      'site/tests/night.yaml': CASES.replace('[night.closed]', '[night.closed]'),
    },
    message: /night\.closed gives grade "denied", which is none \(decision\.unknown_grade\)/,
    file: 'night.yaml',
  },
  'a place that looks at other places': {
    files: {
      'site/night.rego': RULE.replace('#   reason', '#   own_place: true\n#   reason').replace(
        'input.time.hour < 6',
        'count(input.usage.networks) > 0\n\tinput.time.hour < 6',
      ),
    },
    message: /a rule that says own_place may not look at usage/,
  },
  'a place that looks at other places through a helper': {
    files: {
      'site/night.rego': `${RULE.replace('#   reason', '#   own_place: true\n#   reason').replace(
        'input.time.hour < 6',
        'busy\n\tinput.time.hour < 6',
      )}\nbusy if input.usage.calls_1h > 0\n`,
    },
    message: /a rule that says own_place may not look at usage/,
  },
  'a mask that is no pointer': {
    files: {
      'site/night.rego': `${RULE}\nmasks contains {"pointers": ["price"], "except_roles": []} if input.time.hour < 6\n`,
    },
    message: /something that is no masks \(decision\.wrong_shape\)/,
    file: 'night.yaml',
  },
  'a revocation by a rule that lets pass': {
    files: {
      'site/night.rego': RULE.replace('"grade": "deny"', '"grade": "rotate"').replace(
        '{"type": "alert", "severity": "high"}',
        '{"type": "revoke_session"}',
      ),
    },
    message: /obligation "revoke_session" goes with grade "deny" only/,
  },
  'an obligation made from an argument': {
    files: changed(
      '{"type": "alert", "severity": "high"}',
      '{"type": "require_scope", "scope": input.tool.arguments.sku}',
    ),
    message: /an obligation may not be made from an argument/,
  },
  'a reason code that is partly computed': {
    files: {
      'site/night.rego': `${RULE.replace('"code": "night.closed"', '"code": code')}\ncode := "night.closed" if input.time.hour < 6\n\nelse := lower("NIGHT.LATE")\n`,
    },
    message: /part of the reason code is computed/,
  },
  'METADATA with a misspelt key': {
    files: changed('#   controls:', '#   ownplace: true\n#   controls:'),
    message: /METADATA has no custom\.ownplace; did you mean "own_place"\?/,
  },
  'own_place in quotes': {
    files: changed('#   controls:', '#   own_place: "true"\n#   controls:'),
    message: /custom\.own_place is true, without quotes/,
  },
  'a case that expects what the rules do not give': {
    files: {
      'site/tests/night.yaml': CASES.replace(
        'outcome: deny, reasons: [night.closed]',
        'outcome: allow, reasons: [access.role]',
      ),
    },
    message: /expected allow access\.role, got deny night\.closed/,
    file: 'night.yaml',
  },
  'a rule about the listing without its schema': {
    files: { 'site/night.rego': `${RULE}\nvisible contains tool.name if some tool in input.tools\n` },
    message: /a rule about tools\/list says so in its METADATA: scope: rule/,
  },
};
