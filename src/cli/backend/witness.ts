// Sees what a backend answers during a check, knows every secret that came up, and reports without showing any.
import { scrubText, spellings } from '../../backend/answer/scrub.ts';
import type { BackendResponse } from '../../backend/http/response.ts';
import type { StepReport } from '../../backend/session/login.ts';
import type { RequestTemplate } from '../../config/schema/request.ts';
import { printable } from '../../core/printable.ts';
import { looks, stepDetail } from './describe.ts';

/** The result of one step. `warn`: it works, but with a limitation the operator should know. */
export interface CheckResult {
  result: 'ok' | 'warn' | 'fail';
  step: string;
  detail: string;
}

/** Short passwords are blanked as well here: that a name which contains one is blanked too does no harm. */
const SHORTEST_SHOWN = 3;

export type Witness = ReturnType<typeof createWitness>;

/** `logout`: the request that logs out, so that its answer is known among others. */
export function createWitness(onResult: (result: CheckResult) => void, logout?: RequestTemplate) {
  let failed = false;
  let last: BackendResponse | undefined;
  let loggedOut: BackendResponse | undefined;
  const cookies = new Set<string>();
  let logins = 0;
  let steps = 0;
  let stepFailed = false;
  let unanswered = 'it was not answered';
  /** Every secret seen so far. A check may blank more than a result may, because nobody works with its output. */
  const secrets = new Set<string>();
  const blank = (text: string) => scrubText(text, spellings([...secrets], SHORTEST_SHOWN));
  /** Learns the cookies of an answer before anything of it, or of the result in it, is shown. */
  const learn = (response: BackendResponse) => {
    for (const line of response.setCookies) secrets.add(/^[^=]*=([^;]*)/.exec(line)?.[1] ?? '');
  };
  const describe = (response: BackendResponse) => {
    learn(response);
    return looks(response, blank);
  };
  const report = (result: CheckResult['result'], step: string, detail: string): void => {
    if (result === 'fail') failed = true;
    // Names and titles come from the backend and could contain control sequences for the terminal.
    onResult({ result, step, detail: printable(detail) });
  };

  return {
    report,
    blank,
    get failed() {
      return failed;
    },
    secret: (text: string) => void secrets.add(text),
    loginBegins() {
      steps = 0;
    },
    loginEnded() {
      logins += 1;
    },
    /** Names of the cookies that the first login has set. */
    loginCookies: cookies,
    step(step: StepReport) {
      for (const line of step.response?.setCookies ?? []) cookies.add(line.split(/[=;]/, 1)[0]?.trim() ?? '');
      steps += 1;
      for (const secret of step.secrets) secrets.add(secret);
      stepFailed = step.problem !== undefined;
      // The steps of the second login are shown only when they fail: otherwise they repeat those of the first.
      if (logins === 0 || stepFailed) report(stepFailed ? 'fail' : 'ok', `login ${steps}`, stepDetail(step, describe));
    },
    get stepFailed() {
      return stepFailed;
    },
    answer(response: BackendResponse, request: RequestTemplate) {
      last = response;
      if (request === logout) loggedOut = response;
      learn(response);
    },
    /** How the last logout was answered, and that it was, for the author of the configuration. */
    logoutAnswer: () => loggedOut && { status: loggedOut.status, shown: describe(loggedOut) },
    forgetAnswer() {
      last = undefined;
      loggedOut = undefined;
    },
    answered: () => last !== undefined,
    shown: () => (last ? describe(last) : 'no answer'),
    logoutFailed(detail: string) {
      unanswered = detail;
    },
    get unanswered() {
      return unanswered;
    },
  };
}
