// `sallyport backend check NAME`: tries a backend of the configuration on the real system.

import { loadConfig } from '../../config/load.ts';
import { createSystemClock } from '../../core/clock.ts';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { isObject, type JsonObject } from '../../formats/json.ts';
import { paint, print, printJson, progress } from '../output.ts';
import { type CheckResult, checkBackend } from './walk.ts';

/** Options of the command. `args` is JSON text. */
export interface BackendCheckOptions {
  config: string;
  account?: string;
  tool?: string;
  args?: string;
  json?: boolean;
  /** Warnings count as failures. */
  strict?: boolean;
}

const COLOURS = { ok: 'green', warn: 'yellow', fail: 'red' } as const;

/**
 * Runs the check and prints each step. Sets exit code 1 when a step failed: that can be mended. A warning is the nature of the
 * system, and sets it with `strict`. Rejects with an OperatorError when
 * the backend or the arguments are wrong.
 */
export async function backendCheck(name: string, options: BackendCheckOptions): Promise<void> {
  const config = loadConfig(options.config);
  const backend = Object.hasOwn(config.backends, name) ? config.backends[name] : undefined;
  if (!backend) {
    const known = Object.keys(config.backends).join(', ') || 'none';
    throw new OperatorError(`${options.config} has no backend "${name}"; it has: ${known}`);
  }
  const results: CheckResult[] = [];
  if (!options.json) progress(`${name} at ${backend.url}`);
  // Ctrl-C ends the check but not the process, so that a backend session that was opened is still logged out.
  const interrupted = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => interrupted.abort());
  const ok = await checkBackend({
    config,
    name,
    account: options.account,
    tool: options.tool,
    arguments: parseArguments(options.args),
    env: process.env,
    signal: interrupted.signal,
    clock: createSystemClock(),
    onResult(result) {
      results.push(result);
      if (!options.json)
        print(`${paint(COLOURS[result.result], result.result.padEnd(4))}  ${result.step.padEnd(9)} ${result.detail}`);
    },
  });
  if (options.json) printJson({ ok, backend: name, url: backend.url, results });
  if (!ok || (options.strict && results.some(({ result }) => result === 'warn'))) process.exitCode = 1;
}

function parseArguments(text: string | undefined): JsonObject | undefined {
  if (text === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(text);
    if (isObject(parsed)) return parsed as JsonObject;
  } catch (thrown) {
    throw new OperatorError(`--args is not JSON: ${messageOf(thrown)}`);
  }
  throw new OperatorError('--args must be a JSON object, such as \'{"sku":"A-1"}\'');
}
