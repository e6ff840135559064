// The credentials of operators. Each has a name, which stands on record with what was done with it, and rights.
import { createHash, timingSafeEqual } from 'node:crypto';
import type { Config } from '../config/load.ts';
import { resolveSecret } from '../config/secrets.ts';
import { OperatorError } from '../core/errors.ts';
import { type Reloadable, UNCHANGED } from '../core/files/reloadable.ts';
import type { Secret } from '../core/secret.ts';

/** `metrics`: scrape; `read`: see what the replicas are and what sessions there are; `act`: change something. */
export type Right = 'metrics' | 'read' | 'act';
export const RIGHTS = ['metrics', 'read', 'act'] as const satisfies readonly Right[];

/** Who an admin token stands for. */
export interface Operator {
  readonly name: string;
  readonly rights: ReadonlySet<Right>;
}

/** The operators whose tokens are accepted. */
export interface Operators {
  /** The operator of a token, or undefined. It takes the same time whatever is wrong with the token. */
  find(token: string): Operator | undefined;
  /** Another one whenever a token, a name or a right is another. */
  readonly revision: string;
}

const SHORTEST_TOKEN = 32;
/** The name of the one `token`, which has all rights. */
export const ONLY_OPERATOR = 'admin';

/**
 * Reads the tokens of a configuration. Throws an OperatorError when one is missing, so short that it could be guessed, or
 * the same as another, since nobody could tell then who did something.
 */
export function readOperators(config: NonNullable<Config['admin']>, env: NodeJS.ProcessEnv = process.env): Operators {
  const known: (Operator & { digest: Buffer })[] = [];
  const add = (label: string, operator: Operator, token: Secret) => {
    if (token.reveal().length < SHORTEST_TOKEN)
      throw new OperatorError(`${label}: give at least ${SHORTEST_TOKEN} characters`);
    const digest = digestOf(token.reveal());
    const same = known.find((other) => timingSafeEqual(other.digest, digest));
    if (same) throw new OperatorError(`${label}: is the same token as that of "${same.name}"; each needs its own`);
    known.push({ ...operator, digest });
  };
  const { token, tokens = {} } = config;
  if (token)
    add('admin.token', { name: ONLY_OPERATOR, rights: new Set(RIGHTS) }, resolveSecret(token, 'admin.token', env));
  for (const [name, { rights, ...ref }] of Object.entries(tokens)) {
    const label = `admin.tokens.${name}`;
    add(label, { name, rights: new Set(rights) }, resolveSecret(ref, label, env));
  }
  const rows = known.map(({ name, rights, digest }) => [name, [...rights].sort(), digest.toString('hex')]);
  return {
    revision: digestOf(JSON.stringify(rows)).toString('hex'),
    find(given) {
      const digest = digestOf(given);
      let found: Operator | undefined;
      for (const operator of known) if (timingSafeEqual(operator.digest, digest)) found = operator;
      return found;
    },
  };
}

/** The admin tokens that are accepted at present. `admin` of the reload: the configuration as it was read last. */
export function watchOperators(config: NonNullable<Config['admin']>, env: NodeJS.ProcessEnv) {
  let present = readOperators(config, env);
  return {
    present: () => present,
    reloadable: (admin: () => Config['admin']): Reloadable => ({
      part: 'admin.tokens',
      check() {
        const fresh = readOperators(admin() ?? config, env);
        if (fresh.revision === present.revision) return UNCHANGED;
        return {
          result: 'changed',
          apply() {
            present = fresh;
          },
        };
      },
    }),
  };
}

/**
 * Hashes all have the same length, so comparing them in constant time tells nothing about the admin token, not
 * even its length.
 */
const digestOf = (text: string): Buffer => createHash('sha256').update(text).digest();
