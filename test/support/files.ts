import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';

/** Every text file below a folder of the package, by its path from the root. */
export function filesBelow(folder: string): string[] {
  return readdirSync(join(PACKAGE_ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.wasm'))
    .map((entry) => join(entry.parentPath, entry.name).slice(PACKAGE_ROOT.length));
}
