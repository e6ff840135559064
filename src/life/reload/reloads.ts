// Reloads as operators see them: each is on record and in the operational log, and what waits for a restart is remembered
// until a later reload finds it no more.
import type { Act } from '../../audit/events/act.ts';
import type { AuditEvents } from '../../audit/events/events.ts';
import type { OpsLog } from '../../audit/ops.ts';
import type { Reloadable } from '../../core/files/reloadable.ts';
import { type Reloaded, type ReloadedPart, reload } from './reload.ts';

/** The last reload, by the names of its parts. */
export interface LastReload extends Record<'changed' | 'needs_restart' | 'restart_fails' | 'refused', string[]> {
  at: string;
  operator: string;
  ok: boolean;
}

export interface Reloads {
  reload(act: Act): Reloaded;
  /** undefined since the start. */
  last(): LastReload | undefined;
  /** By part, what was changed and takes effect with a restart, and whether a restart would fail over it. */
  waiting(): ReadonlyMap<string, { fails: boolean; detail: string }>;
}

export interface ReloadsOptions {
  /** More may be added while it is being put together. */
  parts: readonly Reloadable[];
  events: Pick<AuditEvents, 'reloaded'>;
  ops: OpsLog;
  onReloaded: () => void;
  /** Names the configuration that is in force. */
  configuration: () => string;
}

const WORDS = {
  refused: 'reload: nothing was changed, because this cannot be used',
  restart_fails: 'reload: a restart would fail, because this cannot be used',
  needs_restart: 'reload: this takes effect with a restart',
  changed: 'reload: changed',
} as const;

export function createReloads({ parts, events, ops, onReloaded, configuration }: ReloadsOptions): Reloads {
  const waiting = new Map<string, { fails: boolean; detail: string }>();
  let last: LastReload | undefined;

  function remember({ part, result, detail = '' }: ReloadedPart): void {
    if (result === 'needs_restart' || result === 'restart_fails')
      waiting.set(part, { fails: result === 'restart_fails', detail });
    // Of what was refused it is not known whether it still waits.
    else if (result !== 'refused') waiting.delete(part);
  }

  function tell({ part, result, detail }: ReloadedPart): void {
    if (result === 'unchanged') return;
    const level = result === 'refused' || result === 'restart_fails' ? 'error' : 'info';
    ops[level](WORDS[result], { part, ...(detail !== undefined && { detail }) });
  }

  return {
    reload(act) {
      const before = configuration();
      const result = reload(parts);
      const { ok } = result;
      const named = (kind: string) => result.parts.filter((part) => part.result === kind).map(({ part }) => part);
      const names = {
        changed: named('changed'),
        needs_restart: named('needs_restart'),
        restart_fails: named('restart_fails'),
        refused: named('refused'),
      };
      last = { at: new Date().toISOString(), operator: act.operator, ok, ...names };
      for (const part of result.parts) {
        remember(part);
        tell(part);
      }
      if (result.parts.every((part) => part.result === 'unchanged')) ops.info('reload: all is unchanged');
      if (ok) onReloaded();
      events.reloaded(act, ok, names, { before, after: configuration() });
      return result;
    },
    last: () => last,
    waiting: () => waiting,
  };
}
