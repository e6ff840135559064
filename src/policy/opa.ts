// Finds the OPA compiler, or builds it from the pinned Go module. No npm package contains one, and a machine that
// only serves never needs it.
import { execFile, spawn } from 'node:child_process';
import { accessSync, constants, existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { messageOf, OperatorError } from '../core/errors.ts';
import { PACKAGE_ROOT } from '../core/paths.ts';

const run = promisify(execFile);
const TOOL_DIR = join(PACKAGE_ROOT, 'tools', 'opa');

/** An OPA compiler that runs. `version` is the one it reports itself. */
export interface Opa {
  path: string;
  version: string;
  /** Where it was found. The user is shown this, because a wrong compiler is hard to notice otherwise. */
  source: '$OPA' | 'PATH' | 'go tool';
}

/** How to look for the compiler. */
export interface FindOpaOptions {
  env?: NodeJS.ProcessEnv;
  /** Called with one line of text before something slow begins, or when an `opa` on PATH is not used. */
  progress?: (line: string) => void;
  /** Folder of the Go module that pins the version of OPA. */
  toolDir?: string;
  /** Whether the pinned OPA may be built; else only one that is there is taken. */
  build?: boolean;
}

/** The version pinned in tools/opa/go.mod, such as "1.22.2". Undefined in an installation without tools/. */
export function pinnedVersion(toolDir = TOOL_DIR): string | undefined {
  const file = join(toolDir, 'go.mod');
  if (!existsSync(file)) return undefined;
  return /open-policy-agent\/opa v(\S+)/.exec(readFileSync(file, 'utf8'))?.[1];
}

/**
 * Takes `$OPA`; else an `opa` on PATH of the pinned minor version; else the Go tool, which is built once and
 * kept. Answers undefined when there is none of them. Rejects with an OperatorError when `$OPA` does not run,
 * because the user has asked for it, and when the build fails.
 */
export async function findOpa({
  env = process.env,
  progress = () => {},
  toolDir = TOOL_DIR,
  build = true,
}: FindOpaOptions = {}): Promise<Opa | undefined> {
  const pinned = pinnedVersion(toolDir);
  if (env.OPA) {
    const version = await versionOf(env.OPA);
    if (version === undefined)
      throw new OperatorError(`$OPA is ${env.OPA}, which does not run as OPA. Point it at an opa binary or unset it.`);
    return { path: env.OPA, version, source: '$OPA' };
  }
  const onPath = which('opa', env);
  if (onPath) {
    const version = await versionOf(onPath);
    if (version && (!pinned || minor(version) === minor(pinned))) return { path: onPath, version, source: 'PATH' };
    progress(`the opa on PATH is ${version ?? 'unusable'}, not ${pinned}: not used`);
  }
  return pinned ? goTool(toolDir, pinned, env, progress, build) : undefined;
}

/**
 * The error for "the policy must be compiled and there is no compiler". `why` is the first half of its message.
 */
export function noCompilerError(why: string): OperatorError {
  const pinned = pinnedVersion();
  const mend =
    pinned === undefined
      ? 'Put an opa on PATH, or set $OPA to its path.'
      : `Install Go and run "sallyport policy build" (it builds the pinned OPA ${pinned} once), or put an opa of that version on PATH, or set $OPA to its path.`;
  return new OperatorError(`${why}, and no OPA compiler was found. ${mend}`);
}

async function goTool(
  toolDir: string,
  version: string,
  env: NodeJS.ProcessEnv,
  progress: (line: string) => void,
  build: boolean,
): Promise<Opa | undefined> {
  const cache = join(toolDir, '.cache');
  const path = join(cache, `opa-${version}${process.platform === 'win32' ? '.exe' : ''}`);
  if (existsSync(path) && (await versionOf(path)) === version) return { path, version, source: 'go tool' };
  if (!build) return undefined;
  const go = which('go', env);
  if (!go) return undefined;
  progress(`building OPA ${version} once with ${go} (about a minute)`);
  mkdirSync(cache, { recursive: true });
  // Built under another name and then renamed, so that an interrupted build leaves nothing that looks like a
  // compiler.
  const partial = `${path}.${process.pid}`;
  const failure = await new Promise<string | undefined>((resolve) => {
    const building = spawn(go, ['build', '-trimpath', '-o', partial, 'github.com/open-policy-agent/opa'], {
      cwd: toolDir,
      env: { ...env, CGO_ENABLED: '0' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    building.stderr.on('data', (chunk: Buffer) => {
      errors = (errors + chunk.toString()).slice(-2000);
    });
    building.on('error', (error) => resolve(messageOf(error)));
    building.on('close', (code) => resolve(code === 0 ? undefined : errors));
  });
  if (failure !== undefined) throw new OperatorError(`building OPA ${version} in ${toolDir} failed:\n${failure}`);
  renameSync(partial, path);
  progress(`OPA ${version} is ready`);
  return { path, version, source: 'go tool' };
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout } = await run(path, ['version'], { timeout: 20_000 });
    return /^Version: (\S+)/m.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

function which(name: string, env: NodeJS.ProcessEnv): string | undefined {
  const names = process.platform === 'win32' ? [`${name}.exe`] : [name];
  for (const dir of (env.PATH ?? '').split(delimiter).filter(Boolean)) {
    for (const candidate of names.map((n) => join(dir, n))) {
      try {
        accessSync(candidate, constants.X_OK);
        return candidate;
      } catch {}
    }
  }
  return undefined;
}

const minor = (version: string): string => version.split('.').slice(0, 2).join('.');
