// Writes the log of examples/policy-repository: `npx tsx test/support/example-log.ts`. It is decided by the policy of that folder.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { recordLog } from './recorded-log.ts';

const folder = join(PACKAGE_ROOT, 'examples', 'policy-repository');
recordLog(260, { policyDir: join(folder, 'policies') }).then((log) => {
  writeFileSync(join(folder, 'log', 'decisions.jsonl.gz'), gzipSync(readFileSync(log.file), { level: 9 }));
  copyFileSync(log.keys, join(folder, 'log', 'keys.json'));
  log.remove();
  process.stdout.write(`${log.decisions.length} decisions\n`);
});
