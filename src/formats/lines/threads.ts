// Shares the parts of files among threads, one part after the other.
import { Worker } from 'node:worker_threads';
import { OperatorError } from '../../core/errors.ts';
import type { Part } from './part.ts';

/** What a thread says: how much it has read, or what it has found in a part. */
export type Said<T> = { bytes: number } | { found: T } | { failed: string };

export interface Threads {
  /** The built file of the thread: Node 20 loads no TypeScript. It is told one `Part` at a time. */
  file: string;
  /** What each thread gets when it starts. */
  data: unknown;
  count: number;
  onBytes: (bytes: number) => void;
  /** A thread that says nothing for so long is given up, in milliseconds; by default none is. */
  silentMs?: number;
}

/** What was found in each part, in their order. Rejects with an OperatorError where a thread fails. */
export async function inThreads<T>(parts: readonly Part[], { file, data, count, ...told }: Threads): Promise<T[]> {
  const found: T[] = [];
  let next = 0;
  const threads = Array.from({ length: Math.min(count, parts.length) }, () => new Worker(file, { workerData: data }));
  try {
    await Promise.all(
      threads.map(async (thread) => {
        for (let at = next++; at < parts.length; at = next++) found[at] = await ask<T>(thread, parts[at] as Part, told);
      }),
    );
  } finally {
    await Promise.all(threads.map((thread) => thread.terminate()));
  }
  return found;
}

function ask<T>(thread: Worker, part: Part, told: Pick<Threads, 'onBytes' | 'silentMs'>): Promise<T> {
  return new Promise((resolve, reject) => {
    const { onBytes, silentMs } = told;
    const giveUp = () => fail(new OperatorError(`${part.file}: nothing came for ${(silentMs ?? 0) / 1000} s`));
    const timer = silentMs === undefined ? undefined : setTimeout(giveUp, silentMs);
    function end(): void {
      clearTimeout(timer);
      thread.off('message', hear);
      thread.off('error', fail);
    }
    function fail(error: Error): void {
      end();
      reject(error);
    }
    function hear(said: Said<T>): void {
      timer?.refresh();
      if ('bytes' in said) return onBytes(said.bytes);
      end();
      if ('found' in said) resolve(said.found);
      else reject(new OperatorError(`${part.file} cannot be read: ${said.failed}`));
    }
    thread.on('message', hear);
    thread.on('error', fail);
    thread.postMessage(part);
  });
}
