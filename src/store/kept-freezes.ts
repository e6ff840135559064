// Keeps freezes and thaws in the state folder as well, so that neither a restart nor a store that was emptied lets pass what
// was frozen. Each replica writes what it reads, and gives back to the store what that does not know any more.
import { existsSync, readFileSync } from 'node:fs';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import { type FreezeRow, isInForce, outdated, readFreeze } from '../freeze/freeze.ts';
import type { Control, ControlPort } from '../session/control.ts';

export interface KeptFreezesOptions {
  control: ControlPort;
  path: string;
  /** What the file has, as `readKeptFreezes` gives it. */
  known: ReadonlyMap<string, FreezeRow>;
  /** Called when the store did not know of freezes that this replica knew, of the same epoch. */
  onWentBack: () => void;
  /** Called when the file cannot be written; the freezes in the store hold all the same. */
  onProblem: (problem: string) => void;
}

export interface KeptFreezes extends ControlPort {
  /** The rows that are in force, as this process read them last. */
  inForce(): FreezeRow[];
  /** Looks after the file no more. */
  stop(): void;
}

/** How often it is looked whether the file is there. */
const LOOK_MS = 1000;

export function keepFreezes(options: KeptFreezesOptions): KeptFreezes {
  const { control, path, onWentBack, onProblem } = options;
  let { known } = options;
  let examined: Control | undefined;
  let restoring: Promise<void> | undefined;

  function keep(): void {
    try {
      writePrivateFile(path, `${JSON.stringify({ version: 1, freezes: Object.fromEntries(known) })}\n`);
    } catch {
      onProblem(`${path}: the freezes cannot be written there, so a restart would not know of them`);
    }
  }

  /** Notes what the store has, and answers what it lacks. */
  function compare({ freezes, now }: Control): Map<string, FreezeRow> {
    const merged = new Map(known);
    for (const [text, row] of freezes) if (row.number > (merged.get(text)?.number ?? 0)) merged.set(text, row);
    for (const text of outdated(merged, now)) merged.delete(text);
    const same =
      merged.size === known.size && [...merged].every(([text, row]) => known.get(text)?.number === row.number);
    if (!same) {
      known = merged;
      keep();
    }
    return new Map([...merged].filter(([text, row]) => row.number > (freezes.get(text)?.number ?? 0)));
  }

  async function read(maxAgeMs: number): Promise<Control> {
    const state = await control.read(maxAgeMs);
    if (examined && state.freezes === examined.freezes && state.epoch === examined.epoch) return state;
    const missing = compare(state);
    if (missing.size > 0) {
      if (state.epoch === examined?.epoch) onWentBack();
      restoring ??= control.restoreFreezes(missing).finally(() => {
        restoring = undefined;
      });
      await restoring;
      return read(0);
    }
    examined = state;
    return state;
  }

  // Somebody may remove the file, or clean up the folder: a restart must know of the freezes all the same.
  const timer = setInterval(() => {
    if (known.size > 0 && !existsSync(path)) keep();
  }, LOOK_MS).unref();

  return {
    ...control,
    read,
    stop: () => clearInterval(timer),
    async freeze(row) {
      await control.freeze(row);
      await read(0);
    },
    inForce: () => [...known.values()].filter((row) => isInForce(row, examined?.now ?? 0)),
  };
}

/** Throws an OperatorError for a file that cannot be read: what it freezes would pass. */
export function readKeptFreezes(path: string): Map<string, FreezeRow> {
  if (!existsSync(path)) return new Map();
  try {
    const { version, freezes } = JSON.parse(readFileSync(path, 'utf8')) as { version: unknown; freezes: object };
    if (version !== 1) throw new Error('another form');
    return new Map(
      Object.entries(freezes).map(([text, { number, ...row }]) => [
        text,
        readFreeze(text, number, JSON.stringify(row)),
      ]),
    );
  } catch {
    throw new OperatorError(
      `${path} cannot be read, and what it freezes would pass: put it back, or remove it and freeze again`,
    );
  }
}
