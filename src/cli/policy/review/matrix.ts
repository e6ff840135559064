// `sallyport policy matrix`: writes who may call what beside the policy.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '../../../config/load.ts';
import { messageOf, OperatorError } from '../../../core/errors.ts';
import { shown } from '../../../decision/data/paths.ts';
import { testsOf } from '../../../policy/diff/tests.ts';
import { askMatrix, rolesOf } from '../../../policy/matrix/ask.ts';
import { MATRIX_FILE, matrixText, readMatrix } from '../../../policy/matrix/text.ts';
import { toolsConfigured, toolsInCases, toolsOf } from '../../../policy/matrix/tools.ts';
import { findOpa } from '../../../policy/opa.ts';
import { loadVersion } from '../../../policy/versions/load.ts';
import { withVersion } from '../../../policy/versions/version.ts';
import { print, printJson, progress } from '../../output.ts';
import { progressBar } from '../../progress-bar.ts';
import { homeOf, type PolicyOptions } from '../place.ts';

export interface MatrixOptions extends PolicyOptions {
  tests?: string;
  config?: string;
  /** Prints it, and writes nothing. */
  print?: boolean;
  json?: boolean;
}

/** Rejects with an OperatorError where the policy cannot be asked, or the file not be written. */
export async function policyMatrix(options: MatrixOptions): Promise<void> {
  const opa = await findOpa({ progress, build: false });
  const configured = options.config === undefined ? undefined : toolsConfigured(loadConfig(options.config).tools);
  await withVersion(undefined, homeOf(options), async (version) => {
    const policy = await loadVersion(version, opa);
    const file = join(policy.paths.dir, MATRIX_FILE);
    const before = existsSync(file) ? readFileSync(file, 'utf8') : '';
    const called = toolsInCases((await testsOf(policy, undefined)).cases);
    const tools = toolsOf(configured ?? readMatrix(before).tools, policy.settings, called);
    const bar = progressBar('asking');
    const matrix = askMatrix(policy, tools, rolesOf(policy), (done) => bar.show(done, tools.length));
    bar.end();
    const text = matrixText(matrix);
    if (options.json) {
      const rows = matrix.tools.flatMap((tool) =>
        matrix.roles.map((role) => ({ ...tool, tool: tool.name, role, ...matrix.cells.get(tool.name)?.get(role) })),
      );
      printJson(rows.map(({ name: _name, ...row }) => row));
    } else if (options.print) process.stdout.write(text);
    if (options.json || options.print) return;
    try {
      if (text !== before) writeFileSync(file, text);
    } catch (thrown) {
      throw new OperatorError(`${shown(file)} cannot be written: ${messageOf(thrown)}`);
    }
    print(`${shown(file)}: ${tools.length} tools, ${matrix.roles.length} roles${text === before ? ', as before' : ''}`);
  });
}
