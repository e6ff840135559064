// Keyed pseudonyms for what may not stand in a record: the same value has the same pseudonym within a period, and the
// key of a period can be destroyed, after which nobody can tell any more what was meant.
import { createHmac, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { z } from 'zod';
import type { Clock } from '../core/clock.ts';
import { OperatorError } from '../core/errors.ts';
import { writePrivateFile } from '../core/files/private-file.ts';
import { readSecretText } from '../core/files/secret-source.ts';

const key = z.base64().refine((text) => Buffer.from(text, 'base64').length === 32, { message: 'not 32 bytes' });

const fileSchema = z.strictObject({
  version: z.literal(1),
  /** How long a period is. */
  days: z.int().positive(),
  /** In the order of their times; a key that is gone is null. The last one has a key. */
  periods: z
    .array(z.strictObject({ from: z.iso.date(), key: key.nullable() }))
    .min(1)
    .refine((periods) => periods.at(-1)?.key !== null, { message: 'the last period has no key' }),
});

/**
 * The content of the file. The key of a period is made from the one before it, by a hash that leads nowhere back: so
 * replicas that began with one file go on with the same keys, and an old key can be destroyed while they do.
 */
export type PseudonymKeys = z.infer<typeof fileSchema>;

export interface Pseudonyms {
  /** The pseudonym of a text at this moment. */
  of(text: string): string;
}

const DAY_MS = 86_400_000;

export interface PseudonymOptions {
  file: string;
  /** Length of a period, for a file that is made. */
  days: number;
  clock: Clock;
  onProblem: (problem: string) => void;
}

/** Opens the file, and makes it when there is none. Throws an OperatorError when it cannot be used. */
export function openPseudonyms({ file, days, clock, onProblem }: PseudonymOptions): Pseudonyms {
  if (!existsSync(file)) {
    const from = new Date(clock.now()).toISOString().slice(0, 10);
    writePseudonymKeys(file, { version: 1, days, periods: [{ from, key: randomBytes(32).toString('base64') }] });
  }
  let keys = readPseudonymKeys(file);
  let [name, secret, ends] = ['', Buffer.alloc(0), 0];

  function turn(now: number): void {
    // What another replica, or an operator, has done to the file since holds.
    const stored = readPseudonymKeys(file);
    keys = withPeriodAt(stored, now);
    if (keys !== stored) writePseudonymKeys(file, keys);
  }
  function use(now: number): void {
    const present = keys.periods.at(-1) as PseudonymKeys['periods'][number];
    name = present.from.replaceAll('-', '');
    secret = Buffer.from(present.key ?? '', 'base64');
    ends = Date.parse(present.from) + keys.days * DAY_MS;
    if (now < ends) return;
    try {
      turn(now);
      use(Number.NEGATIVE_INFINITY);
    } catch (thrown) {
      // The key of the last period goes on until the file can be written.
      onProblem(`the keys of pseudonyms cannot be changed: ${String((thrown as Error).message)}`);
      ends = now + 60_000;
    }
  }
  use(clock.now());
  return {
    of(text) {
      const now = clock.now();
      if (now >= ends) use(now);
      return `pseudonym:${name}:${pseudonymWith(secret, text)}`;
    },
  };
}

/** 128 bits of the HMAC, in base64url. */
export const pseudonymWith = (secret: Buffer, text: string): string =>
  createHmac('sha256', secret).update(text).digest().subarray(0, 16).toString('base64url');

/** The keys with a period that `now` is in: made from the last one, one step for each period in between. */
export function withPeriodAt(keys: PseudonymKeys, now: number): PseudonymKeys {
  const periods = [...keys.periods];
  const length = keys.days * DAY_MS;
  for (;;) {
    const { from, key: before } = periods.at(-1) as PseudonymKeys['periods'][number];
    const next = Date.parse(from) + length;
    if (now < next) return periods.length === keys.periods.length ? keys : { ...keys, periods };
    const made = createHmac('sha256', Buffer.from(before ?? '', 'base64'))
      .update('next period')
      .digest('base64');
    // Of periods in which nothing was written no key is kept.
    const skipped = now >= next + length;
    periods.push({ from: new Date(next).toISOString().slice(0, 10), key: made });
    if (skipped && periods.length > keys.periods.length + 1) periods.splice(-2, 1);
  }
}

/** Throws an OperatorError when the file is missing, can be read by others, or holds no such keys. */
export function readPseudonymKeys(file: string): PseudonymKeys {
  const text = readSecretText({ file });
  try {
    return fileSchema.parse(JSON.parse(text));
  } catch {
    // The cause is left out on purpose: the message of a parser quotes what it could not read, which may be a key.
    throw new OperatorError(
      `${file} has no keys of pseudonyms. Restore it, or remove it: the same values then get other pseudonyms.`,
    );
  }
}

/** Writes the file in one step, readable by its owner only. */
export function writePseudonymKeys(file: string, keys: PseudonymKeys): void {
  writePrivateFile(file, `${JSON.stringify(keys, null, 2)}\n`);
}
