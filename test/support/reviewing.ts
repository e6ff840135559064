// Policy folders of a site and the commands by which a change of them is looked at.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { CommanderError } from 'commander';
import { inject } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { OperatorError } from '../../src/core/errors.ts';
import type { Opa } from '../../src/policy/opa.ts';
import type { Ran } from './cli.ts';
import type { Loose } from './harness.ts';

export const opa = inject('opa') as Opa | null;

/** Where the folders of one test file are. */
export function openScratch() {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-review-'));
  return {
    dir,
    /** A policy folder; its settings are DATA with some text replaced. */
    folder(name: string, edit: (yaml: string) => string = (yaml) => yaml, files: Record<string, string> = {}): string {
      const root = join(dir, name);
      for (const [file, text] of Object.entries({ 'data.yaml': edit(DATA), ...files })) {
        mkdirSync(dirname(join(root, file)), { recursive: true });
        writeFileSync(join(root, file), text);
      }
      return root;
    },
    remove: () => rmSync(dir, { recursive: true, force: true }),
  };
}

/** Runs a command about policies in this process, as `main.ts` does. */
export async function policy(...args: string[]): Promise<Ran> {
  const [stdout, stderr]: [string[], string[]] = [[], []];
  const [toOutput, toError, code] = [process.stdout.write, process.stderr.write, process.exitCode];
  process.stdout.write = ((text: string) => stdout.push(String(text)) > 0) as typeof process.stdout.write;
  process.stderr.write = ((text: string) => stderr.push(String(text)) > 0) as typeof process.stderr.write;
  process.exitCode = 0;
  process.env.OPA = opa?.path ?? '';
  let ended: number;
  try {
    await createProgram().parseAsync(['node', 'sallyport', 'policy', ...args]);
    ended = Number(process.exitCode);
  } catch (thrown) {
    if (!(thrown instanceof OperatorError || thrown instanceof CommanderError)) throw thrown;
    stderr.push(thrown instanceof OperatorError ? `${thrown.message}\n` : '');
    ended = thrown instanceof OperatorError ? 1 : 2;
  } finally {
    Object.assign(process.stdout, { write: toOutput });
    Object.assign(process.stderr, { write: toError });
    process.exitCode = code;
  }
  return { code: ended, stdout: stdout.join(''), stderr: stderr.join('') };
}

export const json = async (...args: string[]): Promise<Loose> => JSON.parse((await policy(...args, '--json')).stdout);

export const DATA = `settings:
  access:
    # Who may call what.
    roles:
      clerk: { tools: [stock_get, stock_adjust] }
      manager: { tools: ["*"] }
      guest: { tools: [stock_get] }
    scopes:
      stock_adjust: ["stock:write"]
    networks:
      guest: [10.0.0.0/8]
    masks:
      stock_get: { pointers: ["/price"], except_roles: [manager] }
  binding: {}
  lifetime:
    # How old a token may be.
    token_age: { limit_seconds: 300, grade: rotate }
  replay: {}
  usage: {}
  backends: {}
  #  payroll:
  tools:
    stock_adjust:
      lifetime: { token_age: { limit_seconds: 60 } }
`;

/** A rule of a site that denies under a condition. */
export const rule = (name: string, condition: string, more = '') => `package site.${name}

# METADATA
# title: A rule that is called ${name}
# description: It denies.
# custom:
#   reason: ${name}.denied
#   controls: [C02]
findings contains {"grade": "deny", "reason": {"code": "${name}.denied", "params": {}}, "obligations": []} if {
	${condition}
}
${more}`;
