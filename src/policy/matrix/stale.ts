// Whether the access matrix in a policy folder says what the policy says.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type PolicyPaths, shown } from '../../decision/data/paths.ts';
import type { GateFinding } from '../gate/finding.ts';
import { type Asked, askMatrix, rolesOf } from './ask.ts';
import type { MatrixTool } from './ordinary.ts';
import { MATRIX_FILE, matrixText, readMatrix } from './text.ts';
import { toolsOf } from './tools.ts';

/** `configured`: the tools of a connector.yaml, where one was given; else those that the file is about. A folder need not have one. */
export function staleMatrix(paths: PolicyPaths, policy: Asked, configured?: readonly MatrixTool[]): GateFinding[] {
  const file = join(paths.dir, MATRIX_FILE);
  if (!existsSync(file)) return [];
  const text = readFileSync(file, 'utf8');
  const known = readMatrix(text);
  const tools = toolsOf(configured ?? known.tools, policy.settings);
  const fresh = matrixText(askMatrix(policy, tools, rolesOf(policy)));
  if (fresh === text) return [];
  const [was, is] = [text.split('\n'), fresh.split('\n')];
  const at = is.findIndex((line, i) => line !== was[i]);
  return [
    {
      ...{ file: shown(file), line: Math.max(0, at) + 1, path: '', rule: 'matrix', level: 'error' },
      message: `is not what the policy says (${is[at] === undefined ? 'it has more lines' : `here it would say "${is[at].trim()}"`}); run: sallyport policy matrix`,
    },
  ];
}
