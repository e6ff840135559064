// docs/audit.md: the format is what it says, and its script needs nothing of this program.
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { readSigningKeys } from '../../src/audit/chain/keys.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { verifyLogs } from '../../src/audit/read/verify.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { openLogIn } from '../support/open-log.ts';
import { linesOf, tamper, writeLines } from '../support/tampering.ts';
import { vectors } from '../support/vectors.ts';

const document = readFileSync(join(PACKAGE_ROOT, 'docs/audit.md'), 'utf8');
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'sallyport-document-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

it('R-61: the test vectors of the document are what the program makes', async () => {
  const { lines, hashes, keys } = vectors();
  expect(document).toContain(`\`\`\`json\n${lines.join('\n')}\n\`\`\``);
  expect(document).toContain(`\`\`\`\n${hashes.join('\n')}\n\`\`\``);
  expect(document).toContain(`\`\`\`json\n${JSON.stringify(keys)}\n\`\`\``);
  const [log, publicKeys] = [join(dir, 'log.jsonl'), join(dir, 'keys.json')];
  writeLines(log, lines);
  writeFileSync(publicKeys, JSON.stringify(keys));
  expect(await verifyLogs({ files: [log], keys: [publicKeys], anchors: [] })).toMatchObject({
    verdict: 'to_checkpoint',
    findings: [],
  });
});

describe.skipIf(!inject('jq') || !inject('openssl'))('R-61: the script of the document', () => {
  const script = () => /```bash\n([\s\S]*?)```/.exec(document)?.[1] ?? '';
  const verify = async (log: string, keys: string) => {
    writeFileSync(join(dir, 'verify.sh'), script());
    const run = promisify(execFile)('bash', [join(dir, 'verify.sh'), log, keys]);
    return run.then(
      ({ stdout }) => stdout,
      (failed: { stdout: string }) => failed.stdout,
    );
  };

  it('verifies the vectors and a log with public tools only, and finds each kind of change', async () => {
    const { lines, keys } = vectors();
    const vectorKeys = join(dir, 'keys.json');
    writeFileSync(vectorKeys, JSON.stringify(keys));
    writeLines(join(dir, 'vectors.jsonl'), lines);
    expect(await verify(join(dir, 'vectors.jsonl'), vectorKeys)).toBe('3 lines, signed up to line 3\n');

    const log = openLogIn(dir, { checkpoint: { records: 5, seconds: 3600 } });
    for (let n = 0; n < 12; n += 1)
      await log.event({
        type: 'event',
        event: 'test',
        timestamp: '2026-11-23T09:00:00.000Z',
        n,
        text: 'ä "quoted" \\ \u2028 $(id) `id` %s',
      });
    await log.close();
    const [file, publicKeys] = [join(dir, 'events.jsonl'), join(dir, 'public.json')];
    writeFileSync(publicKeys, JSON.stringify(exportKeys(readSigningKeys(join(dir, 'audit-keys.json')))));
    const count = linesOf(file).length;
    expect(await verify(file, publicKeys)).toBe(`${count} lines, signed up to line ${count}\n`);
    const changes: [string, (lines: string[]) => string[]][] = [
      ['line 6: record 5 was changed', (all) => all.map((line, i) => (i === 4 ? line.replace('ä', 'ö') : line))],
      ['line 5: record 5 is missing', (all) => all.filter((_, i) => i !== 4)],
      ['line 5: stands in no chain', (all) => [...all.slice(0, 4), '{"type":"event"}', ...all.slice(4)]],
      [
        'the checkpoint is not signed by',
        (all) =>
          all.map((line) =>
            line.replace(/"signature":"(..)/, (_, two) => `"signature":"${two === '00' ? '11' : '00'}`),
          ),
      ],
    ];
    for (const [expected, change] of changes) {
      const copy = join(dir, 'copy.jsonl');
      writeLines(copy, linesOf(file));
      tamper(copy, change);
      expect(await verify(copy, publicKeys)).toContain(expected);
    }
    expect(await verify(file, vectorKeys)).toContain('is not known');
  });
});
