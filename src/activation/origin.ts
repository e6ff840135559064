// Where the files of a policy come from: the commit of Git that they belong to, so that an auditor finds the review.
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

/** `dirty`: the folder has changes that are in no commit. */
export interface Origin {
  commit: string;
  dirty: boolean;
}

const run = promisify(execFile);
const LONGEST_MS = 3000;
/** The configuration of a repository may name programs; none of them is run here. */
const SAFE = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null'];

/** undefined where its data.yaml is tracked in no repository, or there is no Git. */
export async function originOf(dir: string, env: NodeJS.ProcessEnv): Promise<Origin | undefined> {
  const git = async (...args: string[]) => {
    const { stdout } = await run('git', [...SAFE, '-C', dir, ...args], {
      timeout: LONGEST_MS,
      env: { PATH: env.PATH, HOME: env.HOME, GIT_OPTIONAL_LOCKS: '0', GIT_TERMINAL_PROMPT: '0' },
    });
    return stdout.trim();
  };
  try {
    await git('ls-files', '--error-unmatch', 'data.yaml');
    const [commit, changes] = [await git('rev-parse', 'HEAD'), await git('status', '--porcelain', '--', '.')];
    return /^[0-9a-f]{40,64}$/.test(commit) ? { commit, dirty: changes !== '' } : undefined;
  } catch {
    return undefined;
  }
}
