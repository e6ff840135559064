// One request on a pool and its whole answer, by the events of undici: without a stream for the body, which is read as a
// whole in any case.
import type { Dispatcher } from 'undici';

/** What came back. */
export interface Received {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
}

/** A request under way. */
export interface Dispatched {
  /** Rejects with what undici reports, or with what `cancel` was given. */
  readonly received: Promise<Received>;
  /** Ends the request now. One that waits for a connection is not sent any more. */
  cancel(reason: Error): void;
}

/** Told how far a request comes, because an answer that cannot be used may have opened a session all the same. */
export interface Progress {
  /** The request is about to be written to a connection: from now on the backend may have seen it. */
  started(): void;
  answered(headers: Received['headers']): void;
}

export function dispatch(
  to: Pick<Dispatcher, 'dispatch'>,
  options: Dispatcher.DispatchOptions,
  progress: Progress,
): Dispatched {
  const chunks: Buffer[] = [];
  let head: Omit<Received, 'body'> | undefined;
  let ended: Error | undefined;
  let controller: Dispatcher.DispatchController | undefined;
  let cancel: (reason: Error) => void = () => {};
  const received = new Promise<Received>((resolve, reject) => {
    cancel = (reason) => {
      ended ??= reason;
      // Where there is no connection yet there is nothing to abort, and nobody else would settle the promise.
      controller?.abort(reason);
      reject(reason);
    };
    to.dispatch(options, {
      onRequestStart(given) {
        controller = given;
        if (ended) given.abort(ended);
        else progress.started();
      },
      onResponseStart(_controller, status, headers) {
        // An informational answer comes before the answer.
        if (status < 200) return;
        head = { status, headers };
        progress.answered(headers);
      },
      onResponseData(_controller, chunk) {
        chunks.push(chunk);
      },
      onResponseEnd() {
        const body = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
        if (head) resolve({ ...head, body });
        else reject(new Error('an answer without a head'));
      },
      onResponseError: (_controller, error) => reject(error),
    });
  });
  return { received, cancel: (reason) => cancel(reason) };
}
