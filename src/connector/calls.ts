// What carries out calls, put together from the parts that decide, record and hold sessions.

import { culpritOf } from '../decision/guard/culprit.ts';
import type { Policy } from '../decision/open.ts';
import { countCalls } from '../enforcement/calls.ts';
import { createHeldBack } from '../enforcement/held-back.ts';
import type { Frozen } from '../enforcement/observe.ts';
import { createPipeline } from '../enforcement/pipeline.ts';
import { freezesOf } from '../freeze/freeze.ts';
import { readinessOf } from '../http/readiness.ts';
import { enforcedTools } from '../mcp/tools.ts';
import { CONTROL_AGE_MS } from '../session/control.ts';
import type { Inner } from './inner.ts';

/** The pipeline, and what is frozen for whom: for calls and for lists of tools. */
export function openCalls({ config, policy, ports, store, audit, sessions, clock, keyring, trail }: Inner) {
  const { facts, control } = store;
  const frozen: Frozen = async (client, tool) => {
    const { freezes, now } = await control.read(CONTROL_AGE_MS);
    return freezesOf(freezes, now, { client, tool });
  };
  const { fingerprint } = keyring;
  const { masks } = trail;
  const tools = enforcedTools(config.tools);
  const heldBack = createHeldBack(() => clock.now());
  const shared = {
    tools,
    facts,
    audit,
    sessions,
    clock,
    fingerprint,
    frozen,
    heldBack,
    masks,
    backends: ports,
  };
  const pipelineOf = (present: Policy) =>
    createPipeline({ ...shared, evaluator: present.evaluator, policy: present, culprit: culpritIn(present) });
  // Each call goes its whole way with the policy of its beginning.
  let pipeline = pipelineOf(policy.present);
  policy.onSwap((present) => {
    pipeline = pipelineOf(present);
  });
  return { frozen, ...countCalls((call) => pipeline(call)) };
}

/** Why the connector takes no calls, if it takes none. */
export const openReadiness = ({ audit, keyring, store, identity }: Inner, phase: { readonly stopping: boolean }) =>
  readinessOf({
    stopping: () => !phase.stopping,
    audit: () => audit.failure === undefined,
    keyring: () => !keyring.stale,
    store: () => store.ready(),
    clock: () => store.clockAgrees,
    issuer: () => identity.ready,
  });

/** How long it is remembered which rule it was, in milliseconds: the next time it may be another one. */
const REMEMBERED_MS = 60_000;

/** Finds out for one tool at a time: each time takes a thread and a part of a second of CPU. */
function culpritIn({ wasm, settings }: Policy) {
  const known = new Map<string, { rule: string; at: number }>();
  let asking: { tool: string; rule: Promise<string | undefined> } | undefined;
  return async (tool: string, input: string): Promise<string | undefined> => {
    const before = known.get(tool);
    if (before && performance.now() - before.at < REMEMBERED_MS) return before.rule;
    if (asking) return asking.tool === tool ? asking.rule : undefined;
    asking = { tool, rule: culpritOf({ wasm, settings, input }) };
    const rule = await asking.rule;
    asking = undefined;
    if (rule !== undefined) known.set(tool, { rule, at: performance.now() });
    return rule;
  };
}
