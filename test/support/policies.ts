// Policy folders for one test: the default policy with some files replaced.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';

export interface PolicyFolder {
  dir: string;
  remove(): void;
}

export function policyFolder(files: Record<string, string | ((original: string) => string)> = {}): PolicyFolder {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-policies-'));
  cpSync(join(PACKAGE_ROOT, 'policies'), dir, { recursive: true });
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(
      join(dir, name),
      typeof content === 'string' ? content : content(readFileSync(join(dir, name), 'utf8')),
    );
  }
  return { dir, remove: () => rmSync(dir, { recursive: true, force: true }) };
}
