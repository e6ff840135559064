// An activation that means every replica on the store: which policy shall decide, by whose word. Each replica tells the others
// the newest order it knows; none of them gets a policy from there, only its name. An order is authenticated with the
// keyring that the replicas share: whoever can write the store must not choose among the policies that are kept.
import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';

export const orderSchema = z.strictObject({
  /** Of two orders the higher number holds. It is never below the time of the order by the store's clock, in milliseconds. */
  number: z
    .int()
    .positive()
    .max(2 ** 52),
  what: z.enum(['activate', 'rollback']),
  revision: z.string().regex(/^[0-9a-f]{16}$/),
  /** The revision that the configured folder had where it was ordered. */
  folder: z.string(),
  operator: z.string(),
  reason: z.string(),
});

export type Order = z.infer<typeof orderSchema>;

type Fingerprint = (text: string) => string;

const markOf = (order: Order, fingerprint: Fingerprint): string =>
  fingerprint(`policy order ${JSON.stringify(orderSchema.parse(order))}`);

/** As it stands in the store. */
export const writeOrder = (order: Order, fingerprint: Fingerprint): string =>
  JSON.stringify({ order, mark: markOf(order, fingerprint) });

/** The newest order among texts from the store; what is none, or of another keyring, is passed over. */
export function newestOrder(texts: readonly (string | undefined)[], fingerprint: Fingerprint): Order | undefined {
  return texts
    .flatMap((text) => readOrder(text, fingerprint) ?? [])
    .reduce<Order | undefined>((a, b) => (a && a.number >= b.number ? a : b), undefined);
}

function readOrder(text: string | undefined, fingerprint: Fingerprint): Order | undefined {
  if (text === undefined || text === '') return undefined;
  try {
    const { order, mark } = z.strictObject({ order: orderSchema, mark: z.string() }).parse(JSON.parse(text));
    const [given, made] = [Buffer.from(mark), Buffer.from(markOf(order, fingerprint))];
    return given.length === made.length && timingSafeEqual(given, made) ? order : undefined;
  } catch {
    return undefined;
  }
}
