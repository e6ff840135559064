// Compiles src/ to dist/ and copies what is not TypeScript beside it.
import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../src/core/paths.ts';

rmSync(join(PACKAGE_ROOT, 'dist'), { recursive: true, force: true });
try {
  execFileSync(
    join(PACKAGE_ROOT, 'node_modules', '.bin', 'tsc'),
    ['-p', join(PACKAGE_ROOT, 'tools', 'tsconfig.build.json')],
    { stdio: 'inherit' },
  );
} catch {
  process.exit(1);
}
copyFileSync(join(PACKAGE_ROOT, 'src', 'demo', 'connector.yaml'), join(PACKAGE_ROOT, 'dist', 'demo', 'connector.yaml'));
chmodSync(join(PACKAGE_ROOT, 'dist', 'main.js'), 0o755);
