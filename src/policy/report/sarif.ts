// The findings of the gate as SARIF 2.1.0, which code review shows beside the line.
import { VERSION } from '../../core/paths.ts';
import type { GateFinding } from '../gate/finding.ts';

/** The log of one run. Files are relative to the working folder, as SARIF wants them below its root. */
export function sarif(findings: readonly GateFinding[]): object {
  const rules = [...new Set(findings.map(({ rule }) => rule))].sort();
  return {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'sallyport policy check',
            version: VERSION,
            rules: rules.map((id) => ({ id, shortDescription: { text: TITLES[id] } })),
          },
        },
        results: findings.map(({ rule, level, file, line, path, message }) => ({
          ruleId: rule,
          ruleIndex: rules.indexOf(rule),
          level,
          message: { text: path ? `${path}: ${message}` : message },
          locations: [
            {
              physicalLocation: {
                artifactLocation: { uri: encodeURI(file.replaceAll('\\', '/')) },
                region: { startLine: Math.max(1, line) },
              },
            },
          ],
        })),
      },
    ],
  };
}

const TITLES: Record<GateFinding['rule'], string> = {
  settings: 'A setting cannot be used',
  type: 'OPA refuses the source',
  format: 'The source is not formatted',
  site: 'A rule of the site stands where nothing asks it',
  metadata: 'METADATA and rules do not agree',
  grade: 'A grade is none',
  reason: 'A reason cannot be read or used',
  obligation: 'An obligation is not known',
  vocabulary: 'A fact never has this value',
  'own-place': 'A rule of own_place looks at other places',
  arguments: 'An argument is read and not on record, or may be text',
  mask: 'A mask hides nothing',
  reach: 'Nothing makes the rule fire',
  shape: 'A rule gives what is none',
  compiled: 'The compiled policy is stale',
  shipped: 'A shipped file was edited',
  matrix: 'The access matrix beside the policy is out of date',
  posture: 'A control is off',
};
