// Runs every attack of the list as a test. `npm run attacks` runs the same attacks and prints a table.
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { type Cluster, startCluster } from '../support/replicas.ts';
import { GROUPS } from './all.ts';

const program = inject('redis');

describe.skipIf(program === null).each(GROUPS)('attacks: $name', ({ options, attacks }) => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ redisProgram: program as string, ...options });
  }, 60_000);
  afterAll(() => cluster?.close());

  it.each(attacks)('attack $id: $title', async ({ expected, run }) => {
    expect(await run(cluster)).toBe(expected);
  }, 120_000);
});
