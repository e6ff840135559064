// Carries out the tools of one backend on a session: asks for the answer, or for one page after the other, and reads
// the result out of it.
import type { BackendConfig } from '../config/schema/backend.ts';
import type { ToolConfig } from '../config/schema/tool.ts';
import { PageTooDeepError } from '../formats/html-fields.ts';
import type { Json, JsonObject } from '../formats/json.ts';
import { type PageOf, readPages } from './answer/pages.ts';
import { createReader, type Read, type Reader } from './answer/result.ts';
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

/** Runs a tool. Reports every failure as a result; the state of the call ends up in `turn`. */
export type ToolCalls = (tool: string, args: JsonObject, turn: Turn) => Promise<CallResult>;

/** Throws when a result schema does not compile. */
export function createToolCalls({ name, config, tools, url, ask }: ToolCallsOptions): ToolCalls {
  const known = new Map<string, { tool: ToolConfig; reader: Reader }>(
    Object.entries(tools)
      .filter(([, tool]) => tool.backend === name)
      .map(([key, tool]) => [key, { tool, reader: createReader(tool, url) }]),
  );

  /** What the result must not contain: secrets of the session, its CSRF tokens, and those of this call. */
  async function secretsOf({ session, secrets, jar }: Turn, shown?: BackendResponse): Promise<Spelling[]> {
    // Tokens that could not be fetched are no secret of this result.
    const kept = await session.csrf?.catch(() => undefined);
    const inPage = shown ? csrfTokensIn(shown, jar, config) : [];
    return [...session.secrets(), ...secrets, ...(kept?.ok ? kept.tokens.secrets : []), ...inPage];
  }

  async function call({ tool, reader }: { tool: ToolConfig; reader: Reader }, args: JsonObject, turn: Turn) {
    const argument: Values = (key) => turn.session.values(key) ?? (Object.hasOwn(args, key) ? args[key] : undefined);
    const fetch = (values: Values): Promise<Answer> =>
      ask({ request: tool.request, values, expectation: tool, writes: tool.effect !== 'read' }, turn);

    async function fetchPage(page: Json | undefined): Promise<PageOf<Exclude<CallResult, { kind: 'ok' }>>> {
      const answer = await fetch((key) => (key === 'page' ? page : argument(key)));
      if (!answer.ok) return answer;
      turn.secrets.push(...csrfTokensIn(answer.response, turn.jar, config));
      const parsed = reader.document(answer.response);
      return parsed.ok
        ? { ok: true, document: parsed.value }
        : { ok: false, ended: failed(parsed.code, parsed.detail, answer.response.status) };
    }

    if (tool.pages) {
      const pages = await readPages(tool.pages, fetchPage);
      if (!pages.ok) return 'ended' in pages ? pages.ended : failed('backend.response_unusable', pages.problem);
      const all = await secretsOf(turn);
      return reading(200, () => reader.finish(pages.value, all));
    }
    const answer = await fetch(argument);
    if (!answer.ok) return answer.ended;
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
    if (!tool) return failed('call.unknown_tool', 'the tool is not configured');
    try {
      return await call(tool, args, turn);
    } catch (thrown) {
      if (thrown instanceof UnbuildableError) return failed('backend.request_unbuildable', thrown.message);
      if (thrown instanceof PageTooDeepError)
        return failed('backend.response_unusable', 'a page that nests too deeply');
      throw thrown;
    }
  };
}

type Failed = Extract<CallResult, { kind: 'failed' }>;

const failed = (code: Failed['code'], detail: string, status: number | null = null): Failed => ({
  kind: 'failed',
  code,
  detail,
  status,
});

/**
 * Reads a good answer. When that throws, the call has failed but the answer was good all the same, so this returns
 * a result, and a session cookie that came with the answer is not lost.
 */
function reading(status: number, read: () => Read): CallResult {
  try {
    const result = read();
    return result.ok
      ? { kind: 'ok', status, value: result.value, text: result.text, blob: result.blob }
      : { ...failed(result.code, result.detail, status), withheld: result.withheld };
  } catch {
    // Whatever went wrong went wrong here: the backend has done what was asked.
    return { ...failed('backend.response_unusable', 'the answer could not be read', status), withheld: true };
  }
}
