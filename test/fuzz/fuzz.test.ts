// The short form of `npm run fuzz`.
import { expect, it } from 'vitest';
import { doorFuzzers } from './door.ts';
import { fuzz } from './fuzzer.ts';
import { parserFuzzers } from './parsers.ts';

const SECONDS = 20;

it(`R-40, R-66, R-86, R-87: ${SECONDS} seconds of generated input break nothing`, async () => {
  const { failure, inputs, counts } = await fuzz([...(await doorFuzzers()), ...parserFuzzers()], SECONDS, 24);
  expect(failure).toBeUndefined();
  expect(Object.keys(counts)).toHaveLength(7);
  expect(inputs).toBeGreaterThan(500);
}, 120_000);
