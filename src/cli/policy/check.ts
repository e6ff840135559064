// `sallyport policy check`: runs the gate on a policy folder and prints what it finds and the posture.
import { OperatorError } from '../../core/errors.ts';
import { policyPaths } from '../../decision/data/paths.ts';
import { shippedDefaults } from '../../decision/data/read.ts';
import { formatProblem } from '../../formats/yaml/yaml.ts';
import { checkFolder } from '../../policy/check.ts';
import type { GateFinding } from '../../policy/gate/finding.ts';
import { findOpa, noCompilerError } from '../../policy/opa.ts';
import { looser, postureLines, postureOf } from '../../policy/report/posture.ts';
import { sarif } from '../../policy/report/sarif.ts';
import { paint, print, printJson, progress } from '../output.ts';
import { configuredNames } from './names.ts';
import { type PolicyOptions, placeOf } from './place.ts';

export interface CheckOptions extends PolicyOptions {
  tests?: string;
  /** A connector.yaml whose names are checked as well. */
  config?: string;
  strict?: boolean;
  json?: boolean;
  sarif?: boolean;
}

/**
 * Runs the checks. Rejects with an OperatorError that lists all problems, or prints them as JSON or SARIF and sets exit
 * code 1.
 */
export async function policyCheck(options: CheckOptions): Promise<void> {
  try {
    await check(options);
  } catch (thrown) {
    if (!options.json || !(thrown instanceof OperatorError)) throw thrown;
    printJson({
      ok: false,
      problems: [{ file: options.dir, line: 0, path: '', message: thrown.message, rule: 'type', level: 'error' }],
      warnings: [],
      posture: [],
    });
    process.exitCode = 1;
  }
}

async function check(options: CheckOptions): Promise<void> {
  const { tests, strict = false, json = false, sarif: asSarif = false } = options;
  const place = placeOf(options);
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('policies cannot be checked');
  const configured = options.config === undefined ? undefined : configuredNames(options.config);
  const { findings, settings } = await checkFolder(place, opa, { tests, ...configured });
  const posture = settings ? postureOf(settings, shippedDefaults(policyPaths(place))) : [];
  const all: GateFinding[] = [...findings, ...(strict ? looser(posture).map(asFinding(options.dir)) : [])];
  const errors = all.filter(({ level }) => level === 'error');
  const warnings = all.filter(({ level }) => level === 'warning');
  if (errors.length > 0) process.exitCode = 1;
  if (asSarif) printJson(sarif(all));
  else if (json) printJson({ ok: errors.length === 0, problems: errors, warnings, posture });
  else {
    for (const warning of warnings) progress(`${paint('yellow', 'warning')} ${formatProblem(warning)}`);
    if (errors.length > 0) throw new OperatorError(errors.map(formatProblem).join('\n'));
    print(`${options.dir}: ok`);
    for (const line of postureLines(posture)) print(line);
  }
}

const asFinding =
  (dir: string) =>
  ({ setting, value, where }: { setting: string; value: string; where: string }): GateFinding => ({
    file: `${dir}/data.yaml`,
    line: 0,
    path: setting,
    message: `${value} for ${where}: this control is off, and --strict was asked for`,
    rule: 'posture',
    level: 'error',
  });
