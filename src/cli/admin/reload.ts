// `sallyport reload`: has a connector read again what can be read again.
import type { ReloadedPart } from '../../life/reload/reload.ts';
import { paint, print, printJson } from '../output.ts';
import { type AdminClientOptions, askAdmin, refusedBy } from './client.ts';

const COLOURS: Record<ReloadedPart['result'], 'dim' | 'green' | 'yellow' | 'red'> = {
  ...{ unchanged: 'dim', changed: 'green', needs_restart: 'yellow', restart_fails: 'red', refused: 'red' },
};
const WORDS: Record<ReloadedPart['result'], string> = {
  ...{ unchanged: 'unchanged', changed: 'changed', needs_restart: 'waits for a restart', refused: 'refused' },
  restart_fails: 'a restart would fail',
};

/**
 * Prints what became of each part, and sets exit code 1 where one could not be used (then nothing has changed) or a restart would fail. Rejects with
 * an OperatorError when the admin listener does not answer.
 */
export async function reload({ reason, json, ...at }: AdminClientOptions & { reason: string }): Promise<void> {
  const asked = await askAdmin<{ ok?: boolean; parts?: ReloadedPart[] }>(at, '/api/v1/reload', { reason });
  const { parts } = asked.answer;
  if (!parts) throw refusedBy(asked);
  if (!asked.ok || parts.some(({ result }) => result === 'restart_fails')) process.exitCode = 1;
  if (json) return printJson(asked.answer);
  const width = Math.max(...parts.map(({ part }) => part.length));
  for (const { part, result, detail } of parts) {
    print(`${part.padEnd(width)}  ${paint(COLOURS[result], WORDS[result])}${detail ? `  ${detail}` : ''}`);
  }
  if (!asked.ok)
    print(
      'nothing was changed by this; clients, accounts and the keyring are watched, and go on being read by themselves',
    );
}
