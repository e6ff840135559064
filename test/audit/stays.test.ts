// a log that is taken away, moved, cut or written by another is noticed before the calls of that write are let go.
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { readSigningKeys } from '../../src/audit/chain/keys.ts';
import { exportKeys } from '../../src/audit/read/public-keys.ts';
import { verifyLogs } from '../../src/audit/read/verify.ts';
import { recordsOf } from '../support/decision-log.ts';
import { decisionId, type Harness, type Loose, reasons, startHarness, until } from '../support/harness.ts';

let h: Harness;
afterEach(() => h.close());

const log = () => join(h.stateDir, 'decisions.jsonl');
const call = () => h.call('stock_get', { sku: 'A-1' });
const own = (event: string): Loose[] => recordsOf(log()).filter((record) => record.event === event);
const alerts = async (code: string): Promise<Loose[]> => {
  // The alert is written behind the call.
  await new Promise((resolve) => setTimeout(resolve, 50));
  return (await h.audit('alert')).filter((alert) => alert.reasons.includes(code));
};
/** The ids of decisions in the file that stands at the path of the log. */
const decisions = (): string[] =>
  recordsOf(log())
    .filter(({ type }) => type === 'decision')
    .map((record) => record.decision_id);

/** What the verifier says of all files of the log, with the end that the state folder knows as the anchor. */
async function verified() {
  await h.connector.settled();
  const keys = join(h.stateDir, 'public.json');
  writeFileSync(keys, JSON.stringify(exportKeys(readSigningKeys(join(h.stateDir, 'audit-keys.json')))));
  const files = readdirSync(h.stateDir).filter((name) => name.startsWith('decisions'));
  return verifyLogs({
    files: files.map((name) => join(h.stateDir, name)),
    keys: [keys],
    anchors: [join(h.stateDir, 'audit-head.json')],
    log: 'decisions',
  });
}

describe('R-90, R-64: a log', () => {
  it('that was moved and is whole is opened again, and nobody is alarmed', async () => {
    h = await startHarness();
    await call();
    renameSync(log(), `${log()}.1`);
    const id = decisionId(await call());
    expect(decisions()).toEqual([id]);
    expect(own('log_rotated')).toMatchObject([{ cause: 'moved', from_seq: 1 }]);
    expect(await alerts('log.gap')).toEqual([]);
    expect(await verified()).toMatchObject({ verdict: 'whole', findings: [], gaps: [] });
  });

  it('that was moved, with an empty file in its place, is opened again', async () => {
    h = await startHarness();
    await call();
    renameSync(log(), `${log()}.1`);
    writeFileSync(log(), '', { mode: 0o640 });
    const id = decisionId(await call());
    expect(decisions()).toEqual([id]);
    expect(own('log_gap')).toEqual([]);
    expect(await verified()).toMatchObject({ verdict: 'whole', gaps: [] });
  });

  it('that was removed: the next decision stands in a new one before its call is made, with the gap and an alert', async () => {
    h = await startHarness();
    await call();
    unlinkSync(log());
    const answer = await call();
    expect(answer.body.result.isError).toBeFalsy();
    expect(decisions()).toEqual([decisionId(answer)]);
    expect(own('log_gap')).toMatchObject([{ cause: 'unlinked', from_seq: 1 }]);
    expect(await alerts('log.gap')).toMatchObject([
      { severity: 'high', params: { log: 'decisions', cause: 'unlinked' } },
    ]);
    const report = await verified();
    expect(report).toMatchObject({ verdict: 'whole', findings: [], gaps: [{ cause: 'unlinked' }] });
    expect(report.gaps[0]?.missing).toBeGreaterThan(1);
  });

  it('that was removed while nothing is called is noticed within seconds', async () => {
    h = await startHarness();
    await call();
    await h.connector.settled();
    unlinkSync(log());
    await until(() => existsSync(log()) && own('log_gap').length === 1, 'the gap to be on record');
  });

  it('that is emptied under it, as copytruncate does: the loss is on record, and how much was copied is found', async () => {
    h = await startHarness();
    await call();
    await h.connector.settled();
    copyFileSync(log(), `${log()}.1`);
    truncateSync(log(), 0);
    await call();
    expect(own('log_gap')).toMatchObject([{ cause: 'shorter', from_seq: 1 }]);
    expect(await alerts('log.gap')).toHaveLength(1);
    // All had been copied, so nothing is missing.
    expect(await verified()).toMatchObject({ verdict: 'whole', gaps: [{ missing: 0 }] });
  });

  it('that was cut at its end: what remains is kept as it is', async () => {
    h = await startHarness();
    await call();
    await call();
    await h.connector.settled();
    truncateSync(log(), readFileSync(log()).length - 100);
    const id = decisionId(await call());
    expect(decisions()).toEqual([id]);
    const aside = readdirSync(h.stateDir).filter((name) => name.includes('-cut.jsonl'));
    expect(aside).toHaveLength(1);
    expect(await verified()).toMatchObject({ verdict: 'whole', findings: [], gaps: [{ missing: 1 }] });
  });

  it.each([
    ['a file', (path: string) => writeFileSync(path, '{"type":"decision","forged":true}\n')],
    ['a folder', (path: string) => mkdirSync(path)],
  ])('in whose place %s stands goes on beside it', async (_what, put) => {
    h = await startHarness();
    await call();
    renameSync(log(), `${log()}.away`);
    put(log());
    const id = decisionId(await call());
    expect(decisions()).toEqual([id]);
    expect(own('log_gap')).toMatchObject([{ cause: 'replaced' }]);
    expect(await alerts('log.gap')).toHaveLength(1);
    expect(readdirSync(h.stateDir).some((name) => name.includes('-found.jsonl'))).toBe(true);
  });

  it('that another process writes, too: it is said, and the verifier names the writer', async () => {
    h = await startHarness();
    await call();
    await h.connector.settled();
    appendFileSync(log(), '{"type":"decision","forged":true}\n{"half":true}');
    await call();
    expect(own('log_foreign')).toHaveLength(1);
    expect(await alerts('log.foreign_writer')).toMatchObject([{ severity: 'high' }]);
    expect((await verified()).findings).toMatchObject([{ kind: 'foreign_writer' }]);
  });

  it('R-60: that cannot be had: calls are refused, then go on without a restart and without a call, and the gap names the decisions', async () => {
    const place = mkdtempSync(join(tmpdir(), 'sallyport-place-'));
    const [dir, away] = [join(place, 'logs'), join(place, 'away')];
    h = await startHarness({ edit: (yaml) => `${yaml}\naudit: { file: ${join(dir, 'decisions.jsonl')} }\n` });
    await call();
    await h.connector.settled();
    renameSync(dir, away);
    writeFileSync(dir, '');
    const refused = await call();
    expect(reasons(refused)).toEqual(['audit.unavailable']);
    expect((await call()).body.result.isError).toBe(true);
    const ready = () => fetch(new URL('/readyz', h.url));
    expect((await ready()).status).toBe(503);
    expect(h.ops.join()).toContain('the decision log cannot be written; calls are refused');
    rmSync(dir);
    renameSync(away, dir);
    await until(async () => (await ready()).status === 200, 'it to be ready again');
    expect((await call()).body.result.isError).toBeFalsy();
    await h.connector.settled();
    const decided = recordsOf(join(dir, 'decisions.jsonl'));
    const [gap] = decided.filter(({ event }) => event === 'log_gap');
    expect(gap).toMatchObject({ cause: 'write_failed' });
    expect(gap.refused).toContain(decisionId(refused));
    // What the clients were told is on record, too: their calls had an end, and no decision.
    const ends = decided
      .filter(({ type }) => type === 'outcome')
      .map(({ decision_id, outcome }) => [decision_id, outcome]);
    expect(ends).toContainEqual([decisionId(refused), 'refused']);
    const events = recordsOf(join(dir, 'events.jsonl'));
    expect(events.filter(({ event }) => event === 'log_restored').length).toBeGreaterThan(0);
    // One for each log that could not be written.
    const failing = events.filter(({ reasons: codes }) => codes?.includes('log.failing'));
    expect(failing.map(({ params }) => params.log).sort()).toEqual(
      [...new Set(failing.map(({ params }) => params.log))].sort(),
    );
    rmSync(place, { recursive: true });
  });

  it('R-60: of events that cannot be written refuses calls as well', async () => {
    const place = mkdtempSync(join(tmpdir(), 'sallyport-place-'));
    const dir = join(place, 'events');
    h = await startHarness({
      edit: (yaml) => `${yaml}\naudit: { events: { file: ${join(dir, 'events.jsonl')} } }\n`,
    });
    await call();
    renameSync(dir, join(place, 'away'));
    writeFileSync(dir, '');
    await until(async () => reasons(await call()).includes('audit.unavailable'), 'calls to be refused');
    rmSync(dir);
    await until(async () => reasons(await call()).length === 0, 'calls to go on');
    rmSync(place, { recursive: true });
  });
});
