// Compiles the Rego sources of a policy folder to WASM with OPA, and describes the result.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { OperatorError } from '../core/errors.ts';
import { type PolicyPlace, policyPaths } from '../decision/data/paths.ts';
import { type Compiled, ENTRYPOINTS, hashSources, sha256 } from '../decision/manifest.ts';
import type { Opa } from './opa.ts';
import { type Module, parseModules } from './rego/modules.ts';
import { argumentsRead, literalsCompared, reasonsOf } from './rego/reasons.ts';
import { opaRun } from './run/opa.ts';
import { type Stage, withStage } from './run/stage.ts';

/**
 * Compiles the rules of a policy, shipped and site's. Rejects with an OperatorError that has the message of OPA. `-O` is
 * not used, because it gains nothing.
 */
export async function compile(place: string | PolicyPlace, opa: Opa): Promise<Compiled> {
  const paths = policyPaths(place);
  const before = hashSources(place);
  return withStage(paths, async (stage) => {
    const compiled = await compileStage(stage, await parseModules(stage.dir, stage.sources, opa), opa, before);
    if (JSON.stringify(before) !== JSON.stringify(hashSources(place)))
      throw new OperatorError(`${paths.dir}: the sources changed while they were compiled; try again`);
    return compiled;
  });
}

/** Compiles a staged policy. `sources` are the hashes of its files. */
export async function compileStage(
  stage: Stage,
  modules: readonly Module[],
  opa: Opa,
  sources: Record<string, string>,
): Promise<Compiled> {
  const bundle = join(stage.dir, 'bundle.tar.gz');
  await opaRun(opa, stage.dir, [
    'build',
    '-t',
    'wasm',
    ...ENTRYPOINTS.flatMap((entrypoint) => ['-e', entrypoint]),
    '--capabilities',
    'capabilities.json',
    '-o',
    bundle,
    ...stage.roots,
  ]);
  const wasm = fileInTar(gunzipSync(readFileSync(bundle)), '/policy.wasm');
  return {
    wasm,
    manifest: {
      version: 1,
      opa: opa.version,
      entrypoints: [...ENTRYPOINTS],
      wasm_sha256: sha256(wasm),
      sources,
      reasons: reasonsOf(modules),
      reads_arguments: argumentsRead(modules),
      literals: literalsCompared(modules),
    },
  };
}

/**
 * Writes policy.wasm and cases.json and then manifest.json, so that a set that was written only half is recognised as
 * stale.
 */
export function writeCompiled(place: string | PolicyPlace, { wasm, manifest, cases }: Compiled): void {
  const out = policyPaths(place).compiled;
  mkdirSync(out, { recursive: true });
  for (const [name, data] of [
    ['policy.wasm', wasm],
    ...(cases === undefined ? [] : [['cases.json', cases] as const]),
    ['manifest.json', `${JSON.stringify(manifest, null, 2)}\n`],
  ] as const) {
    const partial = join(out, `.${name}.${process.pid}`);
    writeFileSync(partial, data);
    renameSync(partial, join(out, name));
  }
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
