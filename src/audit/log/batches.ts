// Gathers records into batches. Lines that arrive while the disk is busy are written together, so all waiting calls share
// the cost of one write.

/** Where records are kept. It is not called again before it has settled. */
export interface Appender {
  /**
   * Appends lines, which come without their line ends. Resolves when they are as durable as configured; rejects when they may
   * not be.
   */
  append(lines: readonly string[]): Promise<void>;
  /** Whether there is something to do although no line comes: `append` of none does it. */
  due(): boolean;
  close(): Promise<void>;
  /** A line was given that could not wait, and that no call waited for. */
  lost(): void;
}

/** A queue of lines in front of an appender. */
export interface Batches {
  /**
   * Resolves when the line is written, rejects when it may not be. `urgent`: a call waits for this line. Others may wait a
   * moment, so that several are written at once.
   */
  write(line: string, urgent: boolean): Promise<void>;
  /** How many lines wait. */
  readonly waiting: number;
  /** The last error of a write; undefined again after a write has succeeded. */
  readonly failure: Error | undefined;
  /** Resolves when everything given so far has been written or has failed. */
  flushed(): Promise<void>;
  /** Writes what is left and closes the appender. */
  close(): Promise<void>;
}

/**
 * How much text may wait for the next write (as string length). Beyond it lines fail, and a call that waits for such a
 * line is refused.
 */
const MAX_WAITING = 16 * 1024 * 1024;
/** The longest, in milliseconds, that a line for which no call waits stays in memory before its write begins. */
const LAZY_MS = 20;

/** How often it is tried whether a disk that failed takes writes again, although no call asks for it. */
const PROBE_MS = 1000;
/** How often an appender is asked whether it has something to do although no line comes. */
const LOOK_MS = 1000;

/**
 * `probe` makes the line that is written while writes fail, so that a replica that gets no calls because it is not ready
 * becomes ready again. It is told for how many milliseconds they have failed.
 */
export function createBatches(appender: Appender, probe: (failingMs: number) => string): Batches {
  let lines: string[] = [];
  let waitingSize = 0;
  let waiting: ((error: Error | undefined) => void)[] = [];
  let writing: Promise<void> | undefined;
  let lazy: NodeJS.Timeout | undefined;
  let failure: Error | undefined;
  const probes = createProbes((failingMs, urgent) => void write(probe(failingMs), urgent).catch(() => {}));
  let asked = false;
  const looking = setInterval(look, LOOK_MS).unref();

  function look(): void {
    if (failure || !appender.due()) return;
    asked = true;
    start();
  }

  async function drain(): Promise<void> {
    while (waiting.length > 0 || asked) {
      asked = false;
      // Lines that arrive in the same turn of the event loop go into the same write.
      await new Promise(setImmediate);
      const [batch, told] = [lines, waiting];
      [lines, waiting, waitingSize] = [[], [], 0];
      failure = await appender.append(batch).then(
        () => undefined,
        (thrown: unknown) => (thrown instanceof Error ? thrown : new Error(String(thrown))),
      );
      for (const settle of told) settle(failure);
      probes.wrote(failure === undefined);
    }
    writing = undefined;
  }

  function start(): void {
    clearTimeout(lazy);
    lazy = undefined;
    writing ??= drain();
  }

  async function flushed(): Promise<void> {
    if (waiting.length > 0) start();
    while (writing) await writing;
  }

  function write(line: string, urgent: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      if (waitingSize + line.length > MAX_WAITING) {
        if (!urgent) appender.lost();
        return reject(new Error('too many records wait for the disk'));
      }
      lines.push(line);
      waitingSize += line.length;
      waiting.push((error) => (error ? reject(error) : resolve()));
      if (urgent) start();
      else if (!writing) lazy ??= setTimeout(start, LAZY_MS);
    });
  }

  return {
    write,
    get waiting() {
      return waiting.length;
    },
    get failure() {
      return failure;
    },
    flushed,
    async close() {
      clearInterval(looking);
      probes.stop();
      await flushed();
      probes.stop();
      await appender.close();
    },
  };
}

/** Keeps trying while writes fail, and says once for how long they did. */
function createProbes(probe: (failingMs: number, urgent: boolean) => void) {
  let failingSince: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let probed = false;
  function tryAgain(): void {
    timer = undefined;
    if (failingSince === undefined) return;
    probed = true;
    probe(performance.now() - failingSince, true);
  }
  return {
    wrote(well: boolean): void {
      if (!well) {
        failingSince ??= performance.now();
        probed = false;
        timer ??= setTimeout(tryAgain, PROBE_MS).unref();
        return;
      }
      clearTimeout(timer);
      timer = undefined;
      // The line of a call has come through before that of a probe.
      if (failingSince !== undefined && !probed) probe(performance.now() - failingSince, false);
      failingSince = undefined;
      probed = false;
    },
    stop: () => clearTimeout(timer),
  };
}
