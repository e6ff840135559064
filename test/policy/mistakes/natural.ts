// Rules that people write and that are right: the gate has nothing to say about them.
import { changed, type Files, RULE } from './rule.ts';

export const NATURAL: Record<string, Files> = {
  'a helper function': {
    'site/night.rego': `${RULE.replace('input.time.hour < 6', 'early(input.time.hour)')}\nearly(hour) if hour < 6\n`,
  },
  'a rule that fires on shipped cases': changed(
    'input.time.hour < 6',
    'net.cidr_contains("10.0.0.0/8", input.client.ip)',
  ),
  'a package of helpers': {
    'site/night.rego': RULE.replace('package site.night\n', 'package site.night\n\nimport data.site.lib\n').replace(
      'input.time.hour < 6',
      'lib.early',
    ),
    'site/lib.rego': 'package site.lib\n\nearly if input.time.hour < 6\n',
  },
  'a helper in another file of the package': {
    'site/night.rego': RULE.replace('input.time.hour < 6', 'input.time.hour in early'),
    'site/early.rego': 'package site.night\n\nearly contains hour if some hour in numbers.range(0, 5)\n',
  },
  'an optional fact that the body requires': {
    'site/night.rego': RULE.replace('{"hour": input.time.hour}', '{"sku": input.tool.arguments.sku}').replace(
      'input.time.hour < 6',
      'input.tool.arguments.sku != "none"',
    ),
  },
  'a schema with definitions': {
    'site/night.rego': RULE.replace(
      'package site.night\n',
      'package site.night\n\nimport data.sallyport.settings\n',
    ).replace('< 6', '< settings.effective.site.night.until'),
    'site/settings.schema.json':
      '{"type":"object","properties":{"night":{"$ref":"#/$defs/night"}},"$defs":{"night":{"type":"object","properties":{"until":{"type":"integer"}},"required":["until"]}}}',
    'data.yaml': (text: string) => `${text}  site: { night: { until: 6 } }\n`,
  },
  'a table without a default': changed(
    'input.time.hour < 6',
    'input.time.hour < {"write": 6, "read": 5}[input.tool.effect]',
  ),
  'a claim': { 'site/night.rego': RULE.replace('input.time.hour < 6', 'not input.client.claims.tenant == "acme"') },
};
