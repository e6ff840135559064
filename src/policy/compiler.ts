// Compiles the Rego sources of a policy folder to WASM with OPA, and describes the result.
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { OperatorError } from '../core/errors.ts';
import { type Compiled, ENTRYPOINTS, hashSources, type Manifest, sha256 } from '../decision/manifest.ts';
import type { Opa } from './opa.ts';

const run = promisify(execFile);

/**
 * Compiles `<dir>/sallyport`. Rejects with an OperatorError that has the message of OPA. `-O` is not used: with
 * OPA 1.22.2 an earlier version of the default policy, compiled with `-O1`, answered deny where the plain module
 * and the interpreter answered allow.
 */
export async function compile(dir: string, opa: Opa): Promise<Compiled> {
  const work = mkdtempSync(join(tmpdir(), 'sallyport-policy-'));
  try {
    const bundle = join(work, 'bundle.tar.gz');
    const before = hashSources(dir);
    const capabilities = resolve(dir, 'capabilities.json');
    await opaRun(opa, dir, [
      'build',
      '-t',
      'wasm',
      ...ENTRYPOINTS.flatMap((entrypoint) => ['-e', entrypoint]),
      '--capabilities',
      capabilities,
      '-o',
      bundle,
      'sallyport',
    ]);
    const wasm = fileInTar(gunzipSync(readFileSync(bundle)), '/policy.wasm');
    const reasons = await reasonsOf(dir, opa);
    const sources = hashSources(dir);
    if (JSON.stringify(before) !== JSON.stringify(sources))
      throw new OperatorError(`${dir}: the sources changed while they were compiled; try again`);
    return {
      wasm,
      manifest: {
        version: 1,
        opa: opa.version,
        entrypoints: [...ENTRYPOINTS],
        wasm_sha256: sha256(wasm),
        sources,
        reasons,
      },
    };
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Writes policy.wasm and then manifest.json, so that a pair that was written only half is recognised as stale.
 */
export function writeCompiled(dir: string, { wasm, manifest }: Compiled): void {
  const out = join(dir, 'compiled');
  mkdirSync(out, { recursive: true });
  for (const [name, data] of [
    ['policy.wasm', wasm],
    ['manifest.json', `${JSON.stringify(manifest, null, 2)}\n`],
  ] as const) {
    const partial = join(out, `.${name}.${process.pid}`);
    writeFileSync(partial, data);
    renameSync(partial, join(out, name));
  }
}

/**
 * Runs OPA in the policy folder and answers its standard output. When OPA fails, its own message becomes an
 * OperatorError.
 */
export async function opaRun(opa: Opa, cwd: string, args: string[]): Promise<string> {
  try {
    return (await run(opa.path, args, { cwd, maxBuffer: 64 * 1024 * 1024, timeout: 120_000 })).stdout;
  } catch (thrown) {
    const { stderr = '', stdout = '' } = thrown as { stderr?: string; stdout?: string };
    throw new OperatorError(`opa ${args[0]} failed in ${cwd}:\n${(stderr + stdout).trim()}`);
  }
}

interface Annotated {
  annotations: { title?: string; custom?: { reason?: string; controls?: string[]; own_place?: boolean } };
}

/**
 * Collects the reason codes from the METADATA of the rules, with the titles and controls that an auditor reads.
 */
async function reasonsOf(dir: string, opa: Opa): Promise<Manifest['reasons']> {
  const inspected = JSON.parse(await opaRun(opa, dir, ['inspect', '-a', '--format', 'json', 'sallyport'])) as {
    annotations?: Annotated[];
  };
  const reasons: Manifest['reasons'] = {};
  for (const { annotations } of inspected.annotations ?? []) {
    const code = annotations.custom?.reason;
    if (!code) continue;
    const title = annotations.title ?? code;
    const known = reasons[code];
    const ownPlace = annotations.custom?.own_place === true && (known === undefined || known.own_place === true);
    reasons[code] = {
      title: known ? `${known.title}; ${title}` : title,
      controls: [...new Set([...(known?.controls ?? []), ...(annotations.custom?.controls ?? [])])].sort() as (
        | 'C01'
        | 'C02'
        | 'C03'
      )[],
      ...(ownPlace && { own_place: true as const }),
    };
  }
  return Object.fromEntries(Object.entries(reasons).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Reads one file from an uncompressed tar archive (POSIX ustar: 512-byte headers, the size in octal at offset
 * 124).
 */
export function fileInTar(tar: Buffer, name: string): Buffer {
  for (let at = 0; at + 512 <= tar.length; ) {
    const entry = tar.toString('utf8', at, at + 100).replace(/\0.*$/s, '');
    const size = Number.parseInt(tar.toString('ascii', at + 124, at + 136), 8) || 0;
    if (entry === name) return tar.subarray(at + 512, at + 512 + size);
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new OperatorError(`the bundle OPA built has no ${name}`);
}
