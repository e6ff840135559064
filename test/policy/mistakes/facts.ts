// Mistakes in what a rule asks: facts that there are not, values that they never have, settings that are not set.
import { CASES, changed, type Mistake, RULE } from './rule.ts';

export const FACTS: Record<string, Mistake> = {
  'a misspelt fact': {
    files: changed('input.tool.effect', 'input.tool.efect'),
    message:
      /undefined ref: input\.tool\.efect.*did you mean "effect"\?.*want one of: "arguments", "backend", "effect", "name"/,
  },
  'role for roles': {
    files: changed('input.tool.effect == "write"', 'input.client.role == "contractor"'),
    message: /did you mean "roles"\?/,
  },
  'an effect that there is not': {
    files: changed('== "write"', '== "delete"'),
    message: /input\.tool\.effect is never "delete": there are "read", "write", "destructive"/,
  },
  'a weekday in capitals': {
    files: changed('input.time.hour < 6', 'input.time.weekday == "Sunday"'),
    message: /input\.time\.weekday is never "Sunday" \(did you mean "sunday"\?\)/,
  },
  'a weekday cut short, in a set': {
    files: changed('input.time.hour < 6', 'input.time.weekday in {"saturday", "sun"}'),
    message: /input\.time\.weekday is never "sun"/,
  },
  'an hour beyond the day': {
    files: changed('input.time.hour < 6', 'input.time.hour > 23'),
    message: /input\.time\.hour is never above 23: it is from 0 to 23/,
  },
  'an hour below the day': {
    files: changed('input.time.hour < 6', 'input.time.hour < 0'),
    message: /input\.time\.hour is never below 0/,
  },
  'a number compared with text': {
    files: changed('input.time.hour < 6', 'input.time.hour < "06"'),
    message: /input\.time\.hour is never "06": it is number/,
  },
  'a way to authenticate that there is not': {
    files: changed('input.time.hour < 6', 'input.client.auth.method == "oauth"'),
    message: /there are "key", "jwt", "dpop", "mtls"/,
  },
  'a list compared with one of its items': {
    files: changed('input.time.hour < 6', 'input.client.roles == "clerk"'),
    message: /match error/,
  },
  'an address compared with a network': {
    files: changed('input.time.hour < 6', 'input.client.ip == "10.0.0.0/8"'),
    message: /it is one address; for a network use net\.cidr_contains/,
  },
  'a network that is none': {
    files: changed('input.time.hour < 6', 'net.cidr_contains("10.8.0.0/33", input.client.ip)'),
    message: /"10\.8\.0\.0\/33" is no network/,
  },
  'a zone that is not set': {
    files: changed('input.time.hour < 6', 'input.time.zones["Europe/Berlin"].hour < 6'),
    message: /input\.time\.zones has no "Europe\/Berlin": add it to settings\.zones/,
  },
  'a weekday through a local name': {
    files: {
      'site/night.rego': RULE.replace('\tinput.time.hour < 6', '\tday := input.time.weekday\n\tday == "Monday"'),
    },
    message: /input\.time\.weekday is never "Monday"/,
  },
  'a function that WASM does not have': {
    files: changed('input.time.hour < 6', 'time.now_ns() > 0'),
    message: /undefined function time\.now_ns/,
  },
  'a setting of the site without a schema': {
    files: changed('input.time.hour < 6', 'input.time.hour < data.settings.site.opens'),
    message: /undefined ref: data\.settings\.site\.opens/,
  },
  'a setting of the site past the merged ones': {
    files: {
      'site/night.rego': RULE.replace(
        'package site.night\n',
        'package site.night\n\nimport data.sallyport.settings\n',
      ).replace('< 6', '< settings.effective.usage.call_per_hour'),
    },
    message: /did you mean "calls_per_hour"\?/,
  },
  'a set of names behind a constant': {
    files: {
      'site/night.rego': `${RULE.replace('input.time.hour < 6', 'input.time.weekday in weekend')}\nweekend := {"Saturday", "sunday"}\n`,
    },
    message: /input\.time\.weekday is never "Saturday"/,
  },
  'names that a variable runs over': {
    files: {
      'site/night.rego': RULE.replace(
        '\tinput.time.hour < 6',
        '\tsome day in {"Saturday", "monday"}\n\tinput.time.weekday == day',
      ),
    },
    message: /input\.time\.weekday is never "Saturday"/,
  },
  'a table with a key that there is not': {
    files: {
      'site/night.rego': `${RULE.replace('input.time.hour < 6', 'input.time.hour < until[input.tool.effect]')}\nuntil := {"write": 6, "delete": 8}\n`,
    },
    message: /input\.tool\.effect is never "delete"/,
  },
  'hours of a range beyond the day': {
    files: changed('input.time.hour < 6', 'input.time.hour in numbers.range(3, 25)'),
    message: /input\.time\.hour is never 25/,
  },
  'a misspelt fact in object.get': {
    files: changed('input.time.hour < 6', 'object.get(input.client, "rolez", []) == []'),
    message: /there is no input\.client\.rolez, so object\.get always gives the default/,
  },
  'a parameter that may be missing': {
    files: changed('{"hour": input.time.hour}', '{"note": input.tool.arguments.note}'),
    message: /where input\.tool\.arguments\.note is missing, this rule is left out as a whole/,
  },
  'a parameter of a session that there may not be': {
    files: changed('{"hour": input.time.hour}', '{"hour": input.session.generation}'),
    message: /where input\.session\.generation is missing/,
  },
  'a zone by a local name': {
    files: {
      'site/night.rego': RULE.replace(
        '\tinput.time.hour < 6',
        '\tzone := "Europe/Berln"\n\tinput.time.zones[zone].hour < 6',
      ),
    },
    message: /input\.time\.zones has no "Europe\/Berln"/,
  },
  'a zone that only the case has': {
    files: {
      'site/night.rego': RULE.replace('\tinput.time.hour < 6', '\tsome local in input.time.zones\n\tlocal.hour < 6'),
      'site/tests/night.yaml': CASES.replace(
        'hour: 3 }',
        'hour: 3, zones: { Europe/Berlin: { date: "2026-11-23", weekday: monday, hour: 3, minute: 0 } } }',
      ),
    },
    message: /time\.zones has Europe\/Berlin, which settings\.zones does not name/,
    file: '',
  },
  'a network that is none in a set': {
    files: {
      'site/night.rego': `${RULE.replace('input.time.hour < 6', 'some n in nets\n\tnet.cidr_contains(n, input.client.ip)')}\nnets := {"10.0.0.0/8", "192.168.0.0/33"}\n`,
    },
    message: /"192\.168\.0\.0\/33" is no network/,
  },
  'a setting that only the case has': {
    files: {
      'site/night.rego': RULE.replace(
        'package site.night\n',
        'package site.night\n\nimport data.sallyport.settings\n',
      ).replace('< 6', '< settings.effective.site.opens'),
      'site/settings.schema.json': '{"type":"object","properties":{"opens":{"type":"integer"}}}',
      'site/tests/night.yaml': CASES.replace('    input:', '    settings: { site: { opens: 6 } }\n    input:'),
    },
    message: /settings\.site\.opens is not set in data\.yaml, and a rule that reads it is left out/,
  },
  'a setting of a role that no rule asks': {
    files: {
      'site/night.rego': RULE.replace(
        'package site.night\n',
        'package site.night\n\nimport data.sallyport.settings\n',
      ).replace('< 6', '< settings.effective.site.opens'),
      'site/settings.schema.json': '{"type":"object","properties":{"opens":{"type":"integer","x-stricter":"larger"}}}',
      'data.yaml': (text: string) => `${text}  site: { opens: 6 }\n  roles: { clerk: { site: { opens: 8 } } }\n`,
    },
    message: /settings\.roles\.clerk\.site\.opens has no effect: no rule asks it for roles/,
    file: 'data.yaml',
  },
};
