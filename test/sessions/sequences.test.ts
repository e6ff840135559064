// The short form of `npm run test:sessions`.
import { expect, inject, it } from 'vitest';
import { runSequences } from './sequences.ts';

const program = inject('redis');
const SECONDS = 25;

it.skipIf(program === null)(
  `R-95: ${SECONDS} seconds of random sequences leave no session alive that nobody knows of`,
  async () => {
    const ran = await runSequences({ redisProgram: program as string, seconds: SECONDS, seed: 42 });
    expect(ran.failure).toBeUndefined();
    expect(ran.sequences).toBeGreaterThan(0);
  },
  200_000,
);
