// What a client may read about its call: the result, or a fixed sentence with reason codes and the decision id.
// Details that could help an attacker stay in the audit log.

import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js';
import { printable } from '../core/printable.ts';
import type { RequestOutcome } from '../decision/refusal-codes.ts';
import type { Reply } from '../enforcement/call.ts';
import { isObject } from '../formats/json.ts';
import type { FreezeFact } from '../freeze/freeze.ts';

type Answered = Exclude<Reply, { kind: 'unknown_tool' }>;

/**
 * The reply of the pipeline as an MCP result (`CallToolResult`), in JSON. `_meta` always has the decision id. The value of a
 * tool is written once, and stands there twice.
 */
export function resultText(reply: Answered): string {
  if (reply.kind !== 'result') return JSON.stringify(failed(reply));
  const { value, text = JSON.stringify(value), blob, decisionId } = reply;
  const content: CallToolResult['content'][number] = blob
    ? embedded(blob, decisionId)
    : { type: 'text', text: typeof value === 'string' ? value : text };
  const structured = isObject(value) ? `"structuredContent":${text},` : '';
  return `{"content":${JSON.stringify([content, ...cut(reply)])},${structured}"_meta":${JSON.stringify(meta(decisionId))}}`;
}

function failed(reply: Exclude<Answered, { kind: 'result' }>): CallToolResult {
  switch (reply.kind) {
    case 'denied':
      return failure(
        `The call was denied by policy.${mend(reply.reasons)}${frozen(reply.frozen)}`,
        reply.reasons,
        reply.decisionId,
        reply.frozen && { 'sallyport/freeze': reply.frozen },
      );
    case 'refused':
      return failure(
        `${refused(reply)}${became(reply)}${said(reply)}${again(reply)}`,
        reply.reasons,
        reply.decisionId,
        {
          ...outcome(reply),
          ...(reply.retryAfterSeconds !== undefined && { 'sallyport/retry-after-seconds': reply.retryAfterSeconds }),
        },
      );
    case 'done':
      // An error, because there is no result; the text is what keeps a model from calling again.
      return failure(DONE[reply.outcome], reply.reasons, reply.decisionId, outcome(reply));
    case 'invalid_arguments':
      // This is a tool error and not a protocol error, so that a model can correct its arguments (SEP-1303).
      return failure(
        `The arguments do not match the schema of the tool: ${reply.problem}.`,
        ['call.invalid_arguments'],
        reply.decisionId,
      );
    case 'cancelled':
      return failure(`The call was cancelled.${became(reply)}`, ['call.cancelled'], reply.decisionId, outcome(reply));
  }
}

/** Bytes become an embedded resource. */
const embedded = (
  { mediaType, base64 }: NonNullable<Extract<Reply, { kind: 'result' }>['blob']>,
  decisionId: string,
): CallToolResult['content'][number] => ({
  type: 'resource',
  resource: { uri: `urn:sallyport:result:${decisionId}`, mimeType: mediaType, blob: base64 },
});

/** A model that took a shortened list for the whole would draw wrong conclusions. */
const cut = ({ itemsCut }: Extract<Reply, { kind: 'result' }>): CallToolResult['content'] =>
  itemsCut === undefined
    ? []
    : [
        {
          type: 'text',
          text: `The result is shortened by policy: ${itemsCut} ${itemsCut === 1 ? 'item is' : 'items are'} left out.`,
        },
      ];

function refused({ status, reasons }: Extract<Reply, { kind: 'refused' }>): string {
  if (status !== null) return `The call failed: the backend answered ${status}.`;
  return reasons.includes('call.cut_short')
    ? 'The connector stopped while the call was under way.'
    : 'The call was refused.';
}

const DONE = {
  done_answer_unreadable: 'The call was done, and its answer could not be read. Do not repeat the call.',
  done_answer_withheld:
    'The call was done, and its answer is withheld, because it cannot be passed on. Do not repeat the call.',
};

/** What became of a write, so that a model that calls again does nothing twice (R-91). */
function became({ outcome, writes }: { outcome: RequestOutcome; writes?: boolean }): string {
  if (writes !== true) return '';
  switch (outcome) {
    case 'not_sent':
      return ' Nothing was sent to the backend.';
    case 'rejected':
      return ' The backend refused it, so it was not done.';
    default:
      return ' It may have been done, so look before you call again.';
  }
}

const said = ({ said: words }: Extract<Reply, { kind: 'refused' }>): string =>
  words === undefined ? '' : ` The backend says: ${JSON.stringify(words)}.`;

const outcome = ({ outcome: value }: { outcome: RequestOutcome }) => ({ 'sallyport/outcome': value });

/** What a client can do about a denial, where it can do something. */
const mend = (reasons: readonly string[]): string =>
  reasons.includes('replay.history_lost')
    ? ' The history of this conversation was lost: open a new one (initialize), and call again.'
    : '';

/** An operator says why, so that nobody tries again and again. */
const frozen = (freezes: readonly FreezeFact[] = []): string =>
  freezes
    .map(({ operator, until, reason }) =>
      printable(` Frozen by ${operator}${until === null ? '' : ` until ${until}`}: ${reason}.`),
    )
    .join('');

const again = ({ retryAfterSeconds: seconds }: Extract<Reply, { kind: 'refused' }>): string =>
  seconds === undefined ? '' : ` Try again in ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`;

function failure(
  sentence: string,
  reasons: readonly string[],
  decisionId: string,
  more: Record<string, unknown> = {},
): CallToolResult {
  return {
    isError: true,
    content: [{ type: 'text', text: `${sentence} Reasons: ${reasons.join(', ')}. Decision: ${decisionId}` }],
    _meta: { ...meta(decisionId), 'sallyport/reasons': [...reasons], ...more },
  };
}

const meta = (decisionId: string) => ({ 'sallyport/decision-id': decisionId });
