import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Message } from '../../src/alerts/alert.ts';
import { createCommandReceiver } from '../../src/alerts/receivers/command.ts';
import { pagerEvent, slackMessage } from '../../src/alerts/receivers/web.ts';
import { Secret } from '../../src/core/secret.ts';
import { about, alert } from '../support/alerts.ts';
import { until } from '../support/harness.ts';

const message = (event: Message['event'], more: Partial<Message> = {}): Message => {
  const of = about('replay.seen', 'agent');
  return {
    id: `alert_${event}`,
    occurrence: 'occurrence-1',
    mark: '1',
    event,
    at: of.at,
    alert: of,
    count: 1,
    since: of.at,
    by: null,
    ...more,
  };
};
const pager = pagerEvent(() => new Secret('routing-key-of-the-test'), 'host-1');

describe('R-63: what a pager is told', () => {
  it('rings once for an incident, takes an acknowledgement, and is told when it is over, all under one key', () => {
    const events = (['triggered', 'repeated', 'acknowledged', 'resolved'] as const).map(
      (event) => JSON.parse(pager(message(event), 0).body) as Record<string, unknown>,
    );
    expect(events.map(({ event_action }) => event_action)).toEqual(['trigger', 'trigger', 'acknowledge', 'resolve']);
    expect(new Set(events.map(({ dedup_key }) => dedup_key))).toEqual(new Set(['occurrence-1']));
    expect(events[0]).toMatchObject({
      routing_key: 'routing-key-of-the-test',
      payload: {
        ...{ summary: 'A call was replayed', source: 'host-1', severity: 'critical', class: 'replay.seen' },
        custom_details: { client: 'agent', id: 'alert_triggered' },
      },
    });
    // A test rings, and is no part of any incident.
    expect(JSON.parse(pager(message('test'), 0).body)).toMatchObject({
      event_action: 'trigger',
      dedup_key: 'alert_test',
    });
  });

  it('severities are those that a pager knows, and a summary is no longer than it takes', () => {
    const of = (severity: 'low' | 'medium' | 'high') =>
      JSON.parse(pager(message('triggered', { alert: { ...alert('x.y'), severity, title: 'x'.repeat(3000) } }), 0).body)
        .payload;
    expect((['low', 'medium', 'high'] as const).map((severity) => of(severity).severity)).toEqual([
      'info',
      'warning',
      'critical',
    ]);
    expect(of('low').summary).toHaveLength(1024);
  });
});

describe('R-63: what a chat is told', () => {
  it('what an attacker has chosen is no markup, calls nobody and ends no line', () => {
    const nasty = '<!channel> @all `*x*` <https://evil.example|click>\n# Title &lt;';
    const of = about('replay.seen', nasty);
    const { body } = slackMessage('host-1')(message('triggered', { alert: { ...of, params: { text: nasty } } }), 0);
    const { text, attachments } = JSON.parse(body);
    expect(text).toBe('[high] A call was replayed');
    const shown: string = attachments[0].text;
    expect(shown).not.toMatch(/<|>|@(?!\u200b)/);
    const row = shown.split('\n').find((line) => line.startsWith('`client`')) as string;
    expect(row).toBe(
      "`client`  `&lt;!channel&gt; @\u200ball '*x*' &lt;https://evil.example|click&gt; # Title &amp;lt;`",
    );
    expect(shown.split('\n').filter((line) => line.startsWith('`text`'))).toHaveLength(1);
  });

  it('says how many followed, who has it and that it is over', () => {
    const by = { operator: 'on-call', reason: 'looking' };
    const text = (event: Message['event'], count: number) =>
      JSON.parse(slackMessage('host-1')(message(event, { count, by }), 0).body).text;
    expect([text('repeated', 7), text('acknowledged', 1), text('resolved', 9), text('test', 1)]).toEqual([
      '7 more: A call was replayed',
      'on-call has it: A call was replayed',
      'Over: A call was replayed',
      'A test, and no alert, by on-call',
    ]);
  });
});

describe('R-63: a command on the machine', () => {
  const never = new AbortController().signal;
  it('gets the alert on standard input and nothing of it as an argument; one that fails, is missing or hangs has not taken it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'sallyport-command-'));
    try {
      const out = join(dir, 'out');
      const program = join(dir, 'program.sh');
      writeFileSync(program, `#!/bin/sh\nprintf '%s\\n' "$@" > ${out}.args\ncat > ${out}\n`, { mode: 0o700 });
      const nasty = message('triggered', { alert: about('replay.seen', '$(touch /tmp/no); `id`') });
      await createCommandReceiver([program, '--fixed', 'two words'], 5000, 'host-1').send(nasty, never);
      expect(readFileSync(`${out}.args`, 'utf8')).toBe('--fixed\ntwo words\n');
      expect(JSON.parse(readFileSync(out, 'utf8'))).toMatchObject({
        type: 'alert.triggered',
        data: { client: { id: '$(touch /tmp/no); `id`' } },
      });
      const refuses = (command: string[], ms = 5000) => createCommandReceiver(command, ms, 'host-1').send(nasty, never);
      await expect(refuses(['false'])).rejects.toThrow('false ended with 1');
      await expect(refuses([join(dir, 'no such')])).rejects.toThrow(/ENOENT/);
      await expect(refuses(['sleep', '60'], 50)).rejects.toThrow('sleep ended with SIGKILL');
      // One that reads nothing may take it all the same.
      await until(
        () =>
          refuses(['true']).then(
            () => true,
            () => false,
          ),
        'a command that reads nothing',
      );
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
