// What the replicas say of themselves. Rows of replicas that have gone without a word are dropped by those that live.
import type { Control } from '../../session/control.ts';
import type { ReplicaDescription } from '../store.ts';
import { type RedisConnection, script } from './connection.ts';
import type { Keys } from './keys.ts';

// KEYS: the rows. ARGV: leases of all replicas between spaces, this replica, its row. Answers all rows of those that live.
const TELL = script(`
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
local all, rows = redis.call('HGETALL', KEYS[1]), {}
for i = 1, #all, 2 do
  if all[i] == ARGV[2] or string.find(ARGV[1], ' ' .. all[i] .. ' ', 1, true) then rows[#rows + 1] = all[i + 1]
  else redis.call('HDEL', KEYS[1], all[i]) end
end
return rows
`);

export interface Described {
  tell(self: ReplicaDescription, control: Control): Promise<readonly ReplicaDescription[]>;
}

/** `replica`: the name under which this process has its lease. */
export function createDescribed(
  connection: RedisConnection,
  keys: Pick<Keys, 'described'>,
  replica: string,
): Described {
  return {
    async tell(self, { replicas }) {
      const rows = (await connection.run(
        TELL,
        [keys.described],
        [` ${replicas.join(' ')} `, replica, JSON.stringify(self)],
      )) as string[];
      return rows.flatMap((row) => parse(row) ?? []);
    },
  };
}

/** A row of a later release may say more; what is missing is empty. One that makes no sense is left out. */
function parse(text: string): ReplicaDescription | undefined {
  let row: Partial<ReplicaDescription>;
  try {
    row = JSON.parse(text) as Partial<ReplicaDescription>;
  } catch {
    return undefined;
  }
  const { id, host, version, started_at, policy, configuration, keyring, clock_skew_ms } = row;
  const texts = { id, host, version, started_at, policy, configuration, keyring };
  if (Object.values(texts).some((value) => typeof value !== 'string')) return undefined;
  return {
    ...(texts as Record<keyof typeof texts, string>),
    clock_skew_ms: Number(clock_skew_ms) || 0,
    order: textOf(row.order),
    order_problem: textOf(row.order_problem),
  };
}

const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
