// Keeps the revocations in the state folder as well, so that neither a restart of the connector nor a store that was
// emptied or put back revives what was ended. Each replica writes what it reads, and gives back to the
// store what that does not know any more.
import { existsSync, readFileSync } from 'node:fs';
import { writePrivateFile } from '../core/files/private-file.ts';
import { isObject } from '../formats/json.ts';
import { type Control, type ControlPort, MOST_REVOCATIONS, REVOCATION_LIFE_MS } from '../session/control.ts';

export interface KeptOptions {
  control: ControlPort;
  path: string;
  /** Called when the store did not know of revocations that this replica knew, of the same epoch. */
  onWentBack: () => void;
  /** Called when the number of revocations comes near the most that are kept, and each time it has grown by a tenth. */
  onManyRevocations: (count: number) => void;
  /** Called when the file cannot be read or written; the revocations in the store hold all the same. */
  onProblem: (problem: string) => void;
}

/** From which part of the most revocations on an alert is raised. */
const MANY = 0.5;

export interface KeptControl extends ControlPort {
  /** How many revocations are in force, as far as this process knows. */
  readonly count: number;
}

export function keepRevocations({ control, path, onWentBack, onManyRevocations, onProblem }: KeptOptions): KeptControl {
  const known = load(path, onProblem);
  let epoch: string | undefined;
  let examined: ReadonlyMap<string, number> | undefined;
  let told = MANY * MOST_REVOCATIONS;
  let restoring: Promise<void> | undefined;

  function keep(): void {
    try {
      writePrivateFile(path, `${JSON.stringify({ version: 1, revocations: Object.fromEntries(known) })}\n`);
    } catch {
      onProblem(`${path}: the revocations cannot be written there, so a restart would not know of them`);
    }
  }

  /** Notes what the store has, and answers what it lacks. */
  function compare({ revocations, now }: Control): Map<string, number> {
    const oldest = now - REVOCATION_LIFE_MS;
    let changed = false;
    // Numbers of releases before layout 2 say no time; such a revocation is kept as long as the store keeps it.
    const over = (text: string, number: number) => (number > 1e12 ? number <= oldest : !revocations.has(text));
    for (const [text, number] of known) if (over(text, number)) changed = known.delete(text) || changed;
    for (const [text, number] of revocations) {
      if (over(text, number) || number <= (known.get(text) ?? 0)) continue;
      known.set(text, number);
      changed = true;
    }
    const all = revocations.get('all') ?? 0;
    // A revocation of all has taken the place of each that was there before it.
    for (const [text, number] of known) if (text !== 'all' && number < all) changed = known.delete(text) || changed;
    if (changed) keep();
    return new Map([...known].filter(([text, number]) => number > (revocations.get(text) ?? 0)));
  }

  async function read(maxAgeMs: number): Promise<Control> {
    const state = await control.read(maxAgeMs);
    if (state.revocations === examined && state.epoch === epoch) return state;
    const missing = compare(state);
    if (missing.size > 0) {
      if (state.epoch === epoch) onWentBack();
      restoring ??= control.restore(missing).finally(() => {
        restoring = undefined;
      });
      await restoring;
      return read(0);
    }
    examined = state.revocations;
    epoch = state.epoch;
    if (state.revocations.size >= told) {
      onManyRevocations(state.revocations.size);
      told = Math.max(MANY * MOST_REVOCATIONS, state.revocations.size * 1.1);
    }
    return state;
  }

  return {
    read,
    async revoke(selector) {
      await control.revoke(selector);
      await read(0);
    },
    restore: control.restore,
    freeze: control.freeze,
    restoreFreezes: control.restoreFreezes,
    loseHistory: control.loseHistory,
    get count() {
      return examined?.size ?? known.size;
    },
  };
}

function load(path: string, onProblem: (problem: string) => void): Map<string, number> {
  if (!existsSync(path)) return new Map();
  try {
    const file: unknown = JSON.parse(readFileSync(path, 'utf8'));
    if (!isObject(file) || file.version !== 1 || !isObject(file.revocations)) throw new Error('another form');
    const all = Object.entries(file.revocations);
    if (!all.every(([, number]) => Number.isSafeInteger(number))) throw new Error('another form');
    return new Map(all as [string, number][]);
  } catch {
    onProblem(`${path}: the revocations in it cannot be read; those that the store has hold all the same`);
    return new Map();
  }
}
