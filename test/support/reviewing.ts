// Policy folders of a site and the commands by which a change of them is looked at.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inject } from 'vitest';
import type { Opa } from '../../src/policy/opa.ts';
import { run as runCli } from './cli.ts';
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

export const policy = (...args: string[]) => runCli(['policy', ...args], { env: { OPA: opa?.path ?? '' } });
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
