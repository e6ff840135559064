// Reads a JSON body within limits. The size is checked while the body arrives; encoding and nesting are
// checked before any other code sees it.
import type { IncomingMessage } from 'node:http';
import { exactJson } from '../../formats/exact-json.ts';
import { nestsDeeperThan } from '../../formats/json.ts';
import { askForBody } from '../listener/front.ts';
import { refuse } from '../refuse.ts';
import type { Check, Context } from '../state.ts';

/** Limits of a request body: its size in bytes, and how many levels of arrays and objects it may nest. */
export interface BodyLimits {
  bytes: number;
  nesting: number;
}

/** Sets `state.body` to the parsed JSON, in which every number is exact or an InexactNumber, or answers 400, 413 or 415. */
export function readBody({ bytes, nesting }: BodyLimits): Check {
  return async (ctx) => {
    if (!/^application\/json\s*(;|$)/i.test(ctx.req.headers['content-type'] ?? ''))
      return refuse(ctx, 'unsupported_media_type', 'send application/json');
    if (ctx.req.headers['content-encoding'] !== undefined)
      return refuse(ctx, 'unsupported_media_type', 'send the body without content-encoding');
    const text = await read(ctx, bytes);
    if (text === undefined) return false;
    let parsed: unknown;
    try {
      parsed = JSON.parse(text);
    } catch {
      return refuse(ctx, 'bad_request', 'the body is not JSON');
    }
    if (nestsDeeperThan(parsed, nesting)) return refuse(ctx, 'nested_too_deeply', `at most ${nesting} levels`);
    const exact = exactJson(text, parsed);
    if (!exact.ok)
      return refuse(
        ctx,
        'bad_request',
        exact.problem === 'misread'
          ? 'write the keys of objects without escapes'
          : 'an object of the body has the same key twice',
      );
    ctx.state.body = exact.value;
    return true;
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Answers the body as text, or undefined when the request has been refused. */
async function read(ctx: Context, limit: number): Promise<string | undefined> {
  const announced = Number(ctx.req.headers['content-length'] ?? 0);
  if (announced <= limit) askForBody(ctx.req, ctx.res);
  const bytes = announced > limit ? 'too_large' : await collect(ctx.req, limit);
  if (bytes === 'too_large') {
    // The rest of the body is left unread, so the connection cannot be used for another request.
    ctx.set('Connection', 'close');
    refuse(ctx, 'body_too_large', `at most ${limit} bytes`);
    return undefined;
  }
  try {
    if (bytes !== 'broken') return utf8.decode(bytes);
  } catch {}
  refuse(ctx, 'bad_request', 'the body is not complete or not UTF-8');
  return undefined;
}

/**
 * Nearly always the whole body is there by now. Else it is gathered by events, because iterating over the stream costs
 * several times as much for the usual single chunk.
 */
function collect(
  request: IncomingMessage,
  limit: number,
): Buffer | 'too_large' | Promise<Buffer | 'too_large' | 'broken'> {
  if (request.complete && request.readableLength > 0 && !request.readableAborted) {
    if (request.readableLength > limit) return 'too_large';
    const whole: Buffer | null = request.read();
    if (whole) return whole;
  }
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else {
        request.pause();
        resolve('too_large');
      }
    });
    request.on('end', () => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
    request.on('error', () => resolve('broken'));
    request.on('aborted', () => resolve('broken'));
  });
}
