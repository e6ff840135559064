// Attacks on the store: it is emptied, or somebody who can write to it changes its rows.
import { reasons } from '../support/harness.ts';
import type { Replica } from '../support/replicas.ts';
import { type AttackGroup, known, rowOf } from './attack.ts';

export const storeAttacks: AttackGroup = {
  name: 'store',
  attacks: [
    {
      id: 15,
      title: 'Redis is emptied (FLUSHALL), then a captured call is replayed with its handle and without',
      expected: 'with the handle 404, without it rotate replay.history_lost; alerted',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const key = await known(cluster, 'client-15');
        const handle = await cluster.initialize(a, { key });
        await cluster.call(a, 'stock_list', {}, { key, handle, id: 7 });
        await cluster.redis.command('FLUSHALL');
        const replayed = await cluster.call(b, 'stock_list', {}, { key, handle, id: 7 });
        await cluster.call(b, 'stock_list', {}, { key });
        const decision = b.audit('decision').findLast(({ client }) => client.id === 'client-15');
        const codes = decision.result.reasons.map(({ code }: { code: string }) => code);
        const alerted = cluster.audit('alert').some((alert) => alert.reasons.includes('store.history_lost'));
        const first = replayed.status === 404 ? '404' : `${replayed.status} ${reasons(replayed).join()}`;
        return `with the handle ${first}, without it ${decision.result.outcome} ${codes.join()}; ${alerted ? 'alerted' : 'silent'}`;
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
            const [mine, theirs] = [
              JSON.parse(await redis('GET', rowOf('bob-21'))),
              JSON.parse(await redis('GET', rowOf('alice-21'))),
            ];
            return JSON.stringify({ ...mine, value: { ...mine.value, sealed: theirs.value.sealed } });
          },
          async () => {
            const row = JSON.parse(await redis('GET', rowOf('bob-21')));
            return JSON.stringify({ ...row, value: { ...row.value, sealed: row.value.sealed.slice(0, -8) } });
          },
          async () => {
            const [row, before] = [JSON.parse(await redis('GET', rowOf('bob-21'))), JSON.parse(old)];
            return JSON.stringify({ ...row, value: { ...row.value, sealed: before.value.sealed } });
          },
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
