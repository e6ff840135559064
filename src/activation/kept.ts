// The policies that have decided, by their revisions: compiled module, manifest, settings and cases, as they were. So a
// record can be decided again later, and the one before can be taken back into use although its folder has changed.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { messageOf, OperatorError } from '../core/errors.ts';
import { type Bundle, revisionOf } from '../decision/bundle.ts';
import { manifestSchema, sha256 } from '../decision/manifest.ts';
import { loadedSettingsSchema } from '../decision/settings.ts';

/** What is kept of a policy: a bundle without the file that its settings were read from. */
export type KeptBundle = Omit<Bundle, 'settingsFile'>;

export interface KeptPolicies {
  /** Keeps a policy, or notes that it decided until now where it is kept already. Throws when it cannot be written. */
  save(policy: KeptBundle): void;
  /** Throws an OperatorError for a revision that is not kept, or was changed since. */
  read(revision: string): KeptBundle;
  /** Whether it was tried with growing arguments before. */
  isTried(revision: string): boolean;
  /** Notes that it was. A note that cannot be written is missing: it is tried again then. */
  tried(revision: string): void;
  /** The signed files of a policy that is kept, with their signature; undefined where it was not signed. */
  signedFiles(revision: string): ReadonlyMap<string, Buffer> | undefined;
  /** The revisions that are kept, the newest first. */
  revisions(): string[];
  /** Drops what is older than is kept, and beyond its number; never one of `except`. */
  prune(except: ReadonlySet<string>): void;
}

export interface KeptOptions {
  dir: string;
  days: number;
  count: number;
  now: () => number;
}

const DAY_MS = 86_400_000;
const REVISION = /^[0-9a-f]{16}$/;

export function openKept({ dir, days, count, now }: KeptOptions): KeptPolicies {
  const present = () =>
    (existsSync(dir) ? readdirSync(dir) : [])
      .filter((name) => REVISION.test(name))
      .map((revision) => ({ revision, at: statSync(join(dir, revision)).mtimeMs }))
      .sort((a, b) => b.at - a.at);
  return {
    save({ revision, wasm, manifest, settings, cases, signed }) {
      const place = join(dir, revision);
      // It is kept for so long after it decided last.
      const touch = () => utimesSync(place, new Date(now()), new Date(now()));
      if (existsSync(place)) touch();
      // It may have been signed anew, with another key.
      const text = signed && JSON.stringify(encoded(signed.files));
      if (existsSync(place) && (text === undefined || textOf(join(place, SIGNED)) === text)) return;
      const partial = join(dir, `${revision}.${process.pid}.tmp`);
      rmSync(partial, { recursive: true, force: true });
      mkdirSync(partial, { recursive: true, mode: 0o700 });
      const write = (name: string, data: string | Buffer) => writeFileSync(join(partial, name), data, { mode: 0o600 });
      write('policy.wasm', wasm);
      write('manifest.json', JSON.stringify(manifest));
      write('settings.json', JSON.stringify(settings));
      if (cases !== undefined) write('cases.json', cases);
      if (text !== undefined) write(SIGNED, text);
      rmSync(place, { recursive: true, force: true });
      renameSync(partial, place);
      // The clock of the file system may be some milliseconds behind.
      touch();
    },
    isTried: (revision) => existsSync(join(dir, revision, TRIED)),
    tried(revision) {
      try {
        writeFileSync(join(dir, revision, TRIED), '', { mode: 0o600 });
        utimesSync(join(dir, revision), new Date(now()), new Date(now()));
      } catch {
        // Nothing is lost but the time of another trial.
      }
    },
    signedFiles(revision) {
      const file = join(dir, revision, SIGNED);
      if (!REVISION.test(revision) || !existsSync(file)) return undefined;
      try {
        return decoded(JSON.parse(readFileSync(file, 'utf8')));
      } catch {
        throw new OperatorError(`policy ${revision} in ${file} cannot be used: it was changed since it was kept`);
      }
    },
    read(revision) {
      const place = join(dir, revision);
      if (!REVISION.test(revision) || !existsSync(place))
        throw new OperatorError(
          `policy ${revision.slice(0, 40)} is not kept; "sallyport policy status" lists those that are`,
        );
      try {
        return readBundle(place, revision);
      } catch (thrown) {
        throw new OperatorError(`policy ${revision} in ${place} cannot be used: ${messageOf(thrown)}`);
      }
    },
    revisions: () => present().map(({ revision }) => revision),
    prune(except) {
      // Nobody else writes here, so these are of a process that was killed while it wrote.
      for (const name of readdirSync(dir))
        if (name.endsWith('.tmp')) rmSync(join(dir, name), { recursive: true, force: true });
      const old = present().filter(({ at }, i) => i >= count || now() - at > days * DAY_MS);
      for (const { revision } of old)
        if (!except.has(revision)) rmSync(join(dir, revision), { recursive: true, force: true });
    },
  };
}

const textOf = (file: string): string | undefined => (existsSync(file) ? readFileSync(file, 'utf8') : undefined);

/** An empty file: the policy was tried. */
const TRIED = 'tried';
/** The signed files of a policy, in one. */
const SIGNED = 'signed.json';
const encoded = (files: ReadonlyMap<string, Uint8Array>) =>
  Object.fromEntries([...files].map(([name, content]) => [name, Buffer.from(content).toString('base64')]));
const decoded = (text: unknown) =>
  new Map(
    Object.entries(z.record(z.string(), z.base64()).parse(text)).map(([name, content]) => [
      name,
      Buffer.from(content, 'base64'),
    ]),
  );

function readBundle(place: string, revision: string): KeptBundle {
  const text = (name: string) => readFileSync(join(place, name), 'utf8');
  const wasm = readFileSync(join(place, 'policy.wasm'));
  const settings = loadedSettingsSchema.parse(JSON.parse(text('settings.json')));
  const wasmSha256 = sha256(wasm);
  // Its name says what it holds, so that a changed file is noticed.
  if (revisionOf(wasmSha256, settings) !== revision) throw new Error('it was changed since it was kept');
  return {
    wasm,
    module: new WebAssembly.Module(new Uint8Array(wasm)),
    settings,
    manifest: manifestSchema.parse(JSON.parse(text('manifest.json'))),
    wasmSha256,
    revision,
    cases: existsSync(join(place, 'cases.json')) ? text('cases.json') : undefined,
    unverified: 'it comes from the state folder, where nothing vouches for it',
  };
}
