// Waits for changes below folders.
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** An editor writes a file in several steps; in milliseconds. */
const LOOK_MS = 400;

/**
 * Calls `work` after each change, one after the other, and never resolves. The folders are looked at again and again: that works
 * on every file system, also on one that is mounted from another machine, and the folders of a policy are small.
 */
export async function watchFolders(folders: readonly string[], work: () => Promise<void>): Promise<never> {
  let before = stampOf(folders);
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    const now = stampOf(folders);
    if (now === before) continue;
    // Until it has been quiet for one look.
    before = now;
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    if (stampOf(folders) !== before) continue;
    await work();
    before = stampOf(folders);
  }
}

/** Names, sizes and times of all that decides or tests: what is compiled is made of it. */
function stampOf(folders: readonly string[]): string {
  return [...new Set(folders)].map((folder) => filesBelow(folder).join('\n')).join('\n');
}

function filesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter(
        (name) => /\.(rego|ya?ml|json)$/.test(name) && !/(^|[/\\])(compiled|node_modules|\.git)([/\\]|$)/.test(name),
      )
      .map((name) => {
        const { size, mtimeMs } = statSync(join(folder, name));
        return `${name} ${size} ${mtimeMs}`;
      });
  } catch {
    // It may be gone for a moment, or for good.
    return [];
  }
}
