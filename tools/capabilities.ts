// Generates policies/capabilities.json: the builtins that a policy in WASM really has under opa-wasm. To find out, a
// one-line policy for each builtin is compiled; the `builtins()` export of the module names what the host must
// provide, and opa-wasm provides only some of that. With this file OPA's own check refuses an absent builtin with
// file and line; without it a call would fail on the day the rule is reached.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { PACKAGE_ROOT } from '../src/core/paths.ts';
import { fileInTar } from '../src/policy/compiler.ts';
import { findOpa, noCompilerError, type Opa } from '../src/policy/opa.ts';
import { opaRun } from '../src/policy/run/opa.ts';
import { firstDifference, type Problem } from './problems.ts';

const FILE = 'policies/capabilities.json';

/** Builtins that opa-wasm has, but not as in Go: a policy that uses them would decide differently in `opa test`. */
const DIVERGING = new Set(['sprintf']);
const PARALLEL = 4;

interface Builtin {
  name: string;
  infix?: string;
  relation?: boolean;
  decl: { args?: { type: string }[]; result?: { type: string } };
}

async function generate(opa: Opa): Promise<string> {
  const { builtins } = JSON.parse(await opaRun(opa, PACKAGE_ROOT, ['capabilities', '--current'])) as {
    builtins: Builtin[];
  };
  const provided = new Set(
    Object.keys(
      createRequire(import.meta.url)(
        join(PACKAGE_ROOT, 'node_modules/@open-policy-agent/opa-wasm/src/builtins/index.js'),
      ) as object,
    ),
  );
  const queue = [...builtins];
  const usable = new Set<string>();
  const work = mkdtempSync(join(tmpdir(), 'sallyport-capabilities-'));
  try {
    await Promise.all(
      Array.from({ length: PARALLEL }, async () => {
        for (let builtin = queue.shift(); builtin; builtin = queue.shift()) {
          const fromHost = await hostBuiltins(opa, work, builtin);
          if (fromHost?.every((name) => provided.has(name)) && !DIVERGING.has(builtin.name)) usable.add(builtin.name);
        }
      }),
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  const kept = builtins.filter(({ name }) => usable.has(name));
  return `${JSON.stringify({ builtins: kept, features: ['rego_v1'] }, null, 2)}\n`;
}

/** The builtins that a policy which calls this one needs from its host; undefined when it does not compile. */
async function hostBuiltins(opa: Opa, dir: string, builtin: Builtin): Promise<string[] | undefined> {
  const id = builtin.name.replaceAll(/\W/g, '_');
  writeFileSync(join(dir, `${id}.rego`), policyFor(builtin));
  try {
    await opaRun(opa, dir, ['build', '-t', 'wasm', '-e', 'probe/p', '-o', `${id}.tar.gz`, `${id}.rego`]);
  } catch {
    return undefined;
  }
  const wasm = fileInTar(gunzipSync(readFileSync(join(dir, `${id}.tar.gz`))), '/policy.wasm');
  return Object.keys(requiredBuiltins(wasm));
}

function policyFor({ name, infix, relation, decl }: Builtin): string {
  const args = (decl.args ?? []).map((_, i) => `input.a${i}`);
  if (name === 'eq' || name === 'assign') return `package probe\np if { x ${infix} input.a0; x }\n`;
  if (infix) return `package probe\np := input.a0 ${infix} input.a1\n`;
  if (relation) return `package probe\np contains x if ${name}(${args[0]}, x)\n`;
  return `package probe\np := ${name}(${args.join(', ')})\n`;
}

/** Instantiates the module with a host that does nothing and reads its `builtins()` export. */
function requiredBuiltins(wasm: Buffer): object {
  const nothing = () => 0;
  const { WebAssembly } = globalThis as unknown as {
    WebAssembly: typeof import('node:vm') & Record<string, new (...args: unknown[]) => unknown>;
  };
  const memory = new (WebAssembly.Memory as new (d: object) => { buffer: ArrayBuffer })({ initial: 8 });
  const env = {
    memory,
    opa_abort: nothing,
    opa_println: nothing,
    ...Object.fromEntries([0, 1, 2, 3, 4].map((n) => [`opa_builtin${n}`, nothing])),
  };
  const module = new (WebAssembly.Module as new (bytes: Uint8Array) => object)(new Uint8Array(wasm));
  const { exports } = new (
    WebAssembly.Instance as new (
      module: object,
      imports: object,
    ) => { exports: { builtins(): number; opa_json_dump(at: number): number } }
  )(module, { env });
  const at = exports.opa_json_dump(exports.builtins());
  const bytes = new Uint8Array(memory.buffer);
  return JSON.parse(Buffer.from(bytes.subarray(at, bytes.indexOf(0, at))).toString('utf8')) as object;
}

export async function checkCapabilities(opa: Opa, root = PACKAGE_ROOT): Promise<Problem[]> {
  const text = await generate(opa);
  const committed = readFileSync(join(root, FILE), 'utf8');
  return committed === text
    ? []
    : [
        {
          file: FILE,
          line: firstDifference(committed, text),
          path: '',
          message: 'differs from what OPA and opa-wasm provide; run: npx tsx tools/capabilities.ts',
        },
      ];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const opa = await findOpa({ progress: console.error });
  if (!opa) throw noCompilerError('capabilities cannot be generated');
  const text = await generate(opa);
  writeFileSync(join(PACKAGE_ROOT, FILE), text);
  console.log(
    `${FILE}: ${(JSON.parse(text) as { builtins: unknown[] }).builtins.length} builtins with OPA ${opa.version}`,
  );
}
