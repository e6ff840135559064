// Writes npm-shrinkwrap.json for the package, so that whoever installs it gets the very versions that were tested; `--remove`
// takes it away again. It is package-lock.json without what only the development needs.
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/core/paths.ts';

interface Locked {
  packages: Record<string, { dev?: boolean; devDependencies?: object }>;
}

const target = join(PACKAGE_ROOT, 'npm-shrinkwrap.json');
if (process.argv.includes('--remove')) rmSync(target, { force: true });
else {
  const lock = JSON.parse(readFileSync(join(PACKAGE_ROOT, 'package-lock.json'), 'utf8')) as Locked;
  const kept = Object.entries(lock.packages).filter(([, { dev }]) => dev !== true);
  const packages = Object.fromEntries(kept.map(([name, { devDependencies: _dev, ...entry }]) => [name, entry]));
  writeFileSync(target, `${JSON.stringify({ ...lock, packages }, null, 2)}\n`);
}
