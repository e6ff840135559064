// Attacks on the store: it is emptied, or somebody who can write to it changes its rows.
import { reasons } from '../support/harness.ts';
import type { Replica } from '../support/replicas.ts';
import { type AttackGroup, known, rowOf, split } from './attack.ts';

const withSealed = (row: string, sealed: string): string => {
  const { head, record } = split(row);
  return `${head}\n${JSON.stringify({ ...record, sealed })}`;
};

export const storeAttacks: AttackGroup = {
  name: 'store',
  attacks: [
    {
      id: 15,
      title: 'Redis is emptied (FLUSHALL), then a captured call is replayed with its handle and without',
      expected:
        'a read in the old conversation rotate replay.history_lost, a write-off in it deny replay.history_lost; alerted',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-15');
        const handle = await cluster.initialize(a, { key });
        await cluster.call(a, 'stock_list', {}, { key, handle, id: 7 });
        await cluster.redis.command('FLUSHALL');
        const decided = async (tool: string, args: object, id: number) => {
          await cluster.call(b, tool, args, { key, handle, id });
          const { result } = b.audit('decision').findLast(({ client }) => client.id === 'client-15');
          const codes = result.reasons.map(({ code }: { code: string }) => code);
          return `${result.outcome} ${codes.filter((code: string) => code.startsWith('replay.')).join()}`;
        };
        const read = await decided('stock_list', {}, 7);
        const writeOff = await decided('stock_write_off', { sku: 'A-1' }, 8);
        const alerted = cluster.audit('alert').some((alert) => alert.reasons.includes('store.history_lost'));
        return `a read in the old conversation ${read}, a write-off in it ${writeOff}; ${alerted ? 'alerted' : 'silent'}`;
      },
    },
    {
      id: 21,
      title: 'stored rows are swapped between owners, truncated, rolled back',
      expected: 'refused refused refused refused; each owner goes on afterwards',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const [alice, bob] = [await known(cluster, 'alice-21'), await known(cluster, 'bob-21')];
        const redis = (...args: string[]) => cluster.redis.command(...args) as Promise<string>;
        const open = async () => {
          await cluster.call(a, 'stock_list', {}, { key: alice });
          await cluster.call(a, 'stock_list', {}, { key: bob });
        };
        await open();
        const old = await redis('GET', rowOf('bob-21'));
        const forgeries: (() => Promise<string>)[] = [
          async () => redis('GET', rowOf('alice-21')),
          async () => {
            const { sealed } = split(await redis('GET', rowOf('alice-21'))).record;
            return withSealed(await redis('GET', rowOf('bob-21')), sealed);
          },
          async () => {
            const row = await redis('GET', rowOf('bob-21'));
            return withSealed(row, split(row).record.sealed.slice(0, -8));
          },
          async () => withSealed(await redis('GET', rowOf('bob-21')), split(old).record.sealed),
        ];
        const got: string[] = [];
        for (const forge of forgeries) {
          await redis('SET', rowOf('bob-21'), await forge());
          const answer = await cluster.call(b, 'stock_list', {}, { key: bob });
          got.push(
            reasons(answer).some((code) => /^(session|facts)\.unavailable$/.test(code))
              ? 'refused'
              : reasons(answer).join(),
          );
          await cluster.call(b, 'stock_list', {}, { key: bob });
        }
        const after = [
          await cluster.call(b, 'stock_list', {}, { key: alice }),
          await cluster.call(a, 'stock_list', {}, { key: bob }),
        ];
        const goOn = after.every((answer) => reasons(answer).length === 0 && answer.status === 200);
        return `${got.join(' ')}; each owner ${goOn ? 'goes on afterwards' : 'is stuck'}`;
      },
    },
  ],
};
