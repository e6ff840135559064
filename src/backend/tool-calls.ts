// Carries out the tools of one backend on a session: asks for the answer, or for one page after the other, and reads
// the result out of it.
import type { BackendConfig } from '../config/schema/backend.ts';
import type { ToolConfig } from '../config/schema/tool.ts';
import type { RequestOutcome } from '../decision/refusal-codes.ts';
import { PageTooDeepError } from '../formats/html/depth.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import { type PageOf, readPages } from './answer/pages.ts';
import { createReader, type Read, type Reader } from './answer/result.ts';
import { createSay, type Say } from './answer/say.ts';
import type { Spelling } from './answer/scrub.ts';
import type { BackendResponse } from './http/response.ts';
import { UnbuildableError, type Values } from './http/values.ts';
import type { CallResult } from './port.ts';
import type { Ask } from './session/ask.ts';
import { csrfTokensIn } from './session/csrf.ts';
import type { Answer, Turn } from './session/turn.ts';

export interface ToolCallsOptions {
  /** Name of the backend; tools of others are left out. */
  name: string;
  config: BackendConfig;
  tools: Record<string, ToolConfig>;
  url: URL;
  ask: Ask;
}

/** A tool made ready for use. */
interface Known {
  tool: ToolConfig;
  reader: Reader;
  say: Say;
}

type Ended = Exclude<CallResult, { kind: 'ok' }>;
type Unanswered = Extract<Answer, { ok: false }>;

/** Runs a tool. Reports every failure as a result; the state of the call ends up in `turn`. */
export type ToolCalls = (tool: string, args: JsonObject, turn: Turn) => Promise<CallResult>;

/** Throws when a result schema does not compile. */
export function createToolCalls({ name, config, tools, url, ask }: ToolCallsOptions): ToolCalls {
  const known = new Map<string, Known>(
    Object.entries(tools)
      .filter(([, tool]) => tool.backend === name)
      .map(([key, tool]) => [
        key,
        { tool, reader: createReader(tool, url), say: createSay(tool.say ?? config.say ?? []) },
      ]),
  );

  /** What the result must not contain: secrets of the session, its CSRF tokens, and those of this call. */
  async function secretsOf({ session, secrets, jar }: Turn, shown?: BackendResponse): Promise<Spelling[]> {
    // Tokens that could not be fetched are no secret of this result.
    const kept = await session.csrf?.catch(() => undefined);
    const inPage = shown ? csrfTokensIn(shown, jar, config) : [];
    return [...session.secrets(), ...secrets, ...(kept?.ok ? kept.tokens.secrets : []), ...inPage];
  }

  /** How a call ended without a good answer, with the reason that the backend itself gives. */
  async function withReason(say: Say, { ended, response }: Unanswered, turn: Turn): Promise<Ended> {
    if (ended.kind !== 'failed' || !response) return ended;
    const said = say(response, await secretsOf(turn, response));
    return said === undefined ? ended : { ...ended, said };
  }

  async function call({ tool, reader, say }: Known, args: JsonObject, turn: Turn): Promise<CallResult> {
    const argument: Values = (key) => turn.session.values(key) ?? (Object.hasOwn(args, key) ? args[key] : undefined);
    const fetch = (values: Values): Promise<Answer> =>
      ask({ request: tool.request, values, expectation: tool, writes: tool.effect !== 'read' }, turn);

    async function fetchPage(page: Json | undefined): Promise<PageOf<Ended>> {
      const answer = await fetch((key) => (key === 'page' ? page : argument(key)));
      if (!answer.ok) return { ok: false, ended: await withReason(say, answer, turn) };
      turn.secrets.push(...csrfTokensIn(answer.response, turn.jar, config));
      const parsed = reader.document(answer.response);
      return parsed.ok
        ? { ok: true, document: parsed.value }
        : { ok: false, ended: failed(parsed.code, parsed.detail, answer.response.status, 'done_answer_unreadable') };
    }

    if (tool.pages) {
      const pages = await readPages(tool.pages, fetchPage);
      if (!pages.ok)
        return 'ended' in pages
          ? pages.ended
          : failed('backend.response_unusable', pages.problem, null, 'done_answer_unreadable');
      const all = await secretsOf(turn);
      return reading(200, () => reader.finish(pages.value, all));
    }
    const answer = await fetch(argument);
    if (!answer.ok) return withReason(say, answer, turn);
    const { response } = answer;
    const { session, secrets } = turn;
    const all =
      config.csrf || secrets.length > 0
        ? await secretsOf(turn, tool.result.as === 'binary' ? undefined : response)
        : session.secrets();
    return reading(response.status, () => reader.read(response, all));
  }

  return async (toolName, args, turn) => {
    const tool = known.get(toolName);
    if (!tool) return failed('call.unknown_tool', 'the tool is not configured', null, 'not_sent');
    try {
      return await call(tool, args, turn);
    } catch (thrown) {
      const outcome = turn.sent ? 'sent_unknown' : 'not_sent';
      if (thrown instanceof UnbuildableError)
        return failed('backend.request_unbuildable', thrown.message, null, outcome);
      if (thrown instanceof PageTooDeepError)
        return failed('backend.response_unusable', 'a page that nests too deeply', null, outcome);
      throw thrown;
    }
  };
}

type Failed = Extract<CallResult, { kind: 'failed' }>;

const failed = (code: Failed['code'], detail: string, status: number | null, outcome: RequestOutcome): Failed => ({
  kind: 'failed',
  code,
  detail,
  status,
  outcome,
});

/**
 * Reads a good answer. When that throws, the call has failed but the answer was good all the same, so this returns
 * a result, and a session cookie that came with the answer is not lost.
 */
function reading(status: number, read: () => Read): CallResult {
  try {
    const result = read();
    if (result.ok) return { kind: 'ok', status, value: result.value, text: result.text, blob: result.blob };
    const outcome = result.withheld ? 'done_answer_withheld' : 'done_answer_unreadable';
    return failed(result.code, result.detail, status, outcome);
  } catch {
    // Whatever went wrong went wrong here: the backend has done what was asked.
    return failed('backend.response_unusable', 'the answer could not be read', status, 'done_answer_unreadable');
  }
}
