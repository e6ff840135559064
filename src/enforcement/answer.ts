// The reply to a call that was let through: its result with the masked parts blanked, or why there is none.
import type { Blob } from '../backend/port.ts';
import type { Json } from '../formats/json.ts';
import { codesOf, type Reply, STEPS, type Tool, type ToolCall } from './call.ts';
import type { Decided } from './decide.ts';
import { trim, untrimmed } from './mask.ts';
import { done, refusal } from './refusals.ts';
import type { Trail } from './trail.ts';
import type { Used } from './use-session.ts';

/** The reply, once the backend has been asked or could not be. */
export function answer(
  call: ToolCall,
  tool: Tool,
  trail: Trail,
  { decision, carried }: Extract<Decided, { ok: true }>,
  result: Used,
): Reply {
  const refuse = refusal(trail, tool);
  if (!result.ok) {
    const { code, detail, outcome } = result;
    if (outcome === 'done_answer_unreadable' || outcome === 'done_answer_withheld')
      return done(trail, tool, code, detail, outcome, result.status);
    return refuse(code, detail, result);
  }
  call.progress(STEPS, STEPS, 'answered');
  const { masks, limits } = carried;
  if (masks.length > 0 && (typeof result.value !== 'object' || result.value === null))
    return done(trail, tool, 'obligation.failed', 'mask on a result that has no fields', 'done_answer_withheld');
  const trimmed = masks.length + limits.length === 0 ? untrimmed(result.value) : trim(result.value, masks, limits);
  const { value, itemsCut } = trimmed;
  trail.trimmed(trimmed);
  if (trimmed.requiredAbsent)
    return done(
      trail,
      tool,
      'obligation.failed',
      'a mask that is required met nothing in the result',
      'done_answer_withheld',
    );
  // A client would drop a result that does not match the schema it was shown, so it is not given: then the reason
  // code says what went wrong.
  if (masks.length + limits.length > 0 && tool.validateResult?.(value) !== undefined) {
    const detail = 'the masked or shortened result does not match result.schema; let it say "[masked]" there';
    return done(trail, tool, 'obligation.failed', detail, 'done_answer_withheld');
  }
  const text = (value === result.value ? result.text : undefined) ?? JSON.stringify(value);
  const { blob } = result;
  const given = masks.flatMap(({ pointers }) => pointers).filter((each) => !trimmed.masksAbsent.includes(each));
  trail.given({ bytes: sizeOf(value, text, blob), items: itemsOf(value), masked: given });
  trail.finished('success', codesOf(decision.reasons));
  return { kind: 'result', value, text, blob, decisionId: trail.decisionId, ...(itemsCut > 0 && { itemsCut }) };
}

/** What the client reads, in bytes. */
function sizeOf(value: Json, text: string, blob: Blob | undefined): number {
  if (blob) return Buffer.byteLength(blob.base64, 'base64');
  return Buffer.byteLength(typeof value === 'string' ? value : text);
}

/** Items of the list that a value is, or of the lists right inside it; null where there is none. */
function itemsOf(value: Json): number | null {
  if (Array.isArray(value)) return value.length;
  if (typeof value !== 'object' || value === null) return null;
  let items: number | null = null;
  for (const each of Object.values(value)) if (Array.isArray(each)) items = (items ?? 0) + each.length;
  return items;
}
