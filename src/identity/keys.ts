// Verifies API keys. A key is looked up by its SHA-256, so the time a look-up takes tells nothing about the
// stored keys. The file is read again when it changes, so removing a client takes effect without a restart.
import { existsSync } from 'node:fs';
import type { Clock } from '../core/clock.ts';
import { OperatorError } from '../core/errors.ts';
import type { Reloadable } from '../core/files/reloadable.ts';
import type { SecretSource } from '../core/files/secret-source.ts';
import { constantFile, type WatchedFile, watchFile, watchSource } from '../core/files/watched-file.ts';
import { type Attributes, attributesFile, readAttributes } from './api-keys/attributes.ts';
import { type Client, createClient } from './client.ts';
import { type ClientRecord, hashKey, readClientFile } from './client-file.ts';
import { refusedCredential } from './failures.ts';
import type { CredentialVerifier } from './verifier.ts';

/** The issuer of every client that shows an API key: such clients come from the connector's own file. */
export const KEYS_ISSUER = 'urn:sallyport:keys';

/** Verifies API keys against the client file, and watches that file until `close`. */
export interface KeysVerifier extends CredentialVerifier {
  /** Why a file on disk cannot be used, so that the last good one stays in force; undefined when all can. */
  readonly problem: string | undefined;
  readonly reloadable: readonly Reloadable[];
  /** The roles that clients of the file have. */
  readonly roles: ReadonlySet<string>;
  /** When the first key ends that has not ended yet, in milliseconds since 1970; undefined where none does. */
  readonly firstExpiry: number | undefined;
  close(): void;
}

/** Settings of the API key verifier. */
export interface KeysOptions {
  source: SecretSource;
  env?: NodeJS.ProcessEnv;
  clock: Clock;
  /** Called when the file has changed and cannot be used; the last good list stays in force. */
  onProblem: (message: string) => void;
}

/** Creates the verifier. Reads the file at once and throws an OperatorError when it cannot be used. */
export function createKeysVerifier({ source, env, clock, onProblem }: KeysOptions): KeysVerifier {
  const clients = watchSource(source, () => index(readClientFile(source, env)), onProblem);
  const attributes = 'file' in source ? watchAttributes(attributesFile(source.file), onProblem) : NONE;
  const described = new WeakMap<Client, { of: ReadonlyMap<string, Attributes>; client: Client }>();
  /** The client with its attributes. All calls with the same key share one object until the attributes change. */
  const describe = (client: Client): Client => {
    const known = described.get(client);
    if (known?.of === attributes.value) return known.client;
    const own = attributes.value.get(client.id);
    const fresh = own ? Object.freeze({ ...client, policyClaims: own }) : client;
    described.set(client, { of: attributes.value, client: fresh });
    return fresh;
  };
  return {
    get problem() {
      return clients.problem ?? attributes.problem;
    },
    get roles() {
      return new Set([...clients.value.values()].flatMap(({ roles }) => roles));
    },
    get firstExpiry() {
      const ends = [...clients.value.values()].flatMap(({ auth }) => auth.expiresAt ?? []);
      const left = ends.filter((at) => at > clock.now());
      return left.length === 0 ? undefined : Math.min(...left);
    },
    reloadable: [
      { part: 'identity.keys', check: clients.check },
      { part: 'attributes of clients', check: attributes.check },
    ],
    async verify(token) {
      const client = clients.value.get(hashKey(token.reveal()));
      if (!client) return refusedCredential('unknown_key');
      if (client.auth.expiresAt !== null && client.auth.expiresAt <= clock.now())
        return refusedCredential('key_expired');
      return { ok: true, client: describe(client), confirmation: {} };
    },
    close() {
      clients.close();
      attributes.close();
    },
  };
}

const NONE: WatchedFile<ReadonlyMap<string, Attributes>> = constantFile(new Map());

/** There may be none; one that was there must not go without a word. */
function watchAttributes(path: string, onProblem: KeysOptions['onProblem']): typeof NONE {
  let had = false;
  return watchFile(
    path,
    () => {
      if (had && !existsSync(path)) throw new OperatorError(`${path} is gone`);
      had = existsSync(path);
      return readAttributes(path);
    },
    onProblem,
  );
}

function index(records: ClientRecord[]): Map<string, Client> {
  return new Map(records.map((r) => [r.key_sha256, toClient(r)]));
}

function toClient(record: ClientRecord): Client {
  return createClient({
    id: record.id,
    subject: record.subject,
    issuer: KEYS_ISSUER,
    roles: record.roles,
    scopes: record.scopes,
    auth: {
      method: 'key',
      issuedAt: Date.parse(record.created_at),
      expiresAt: record.expires_at === null ? null : Date.parse(record.expires_at),
      key: null,
      keyId: record.key_sha256.slice(0, 16),
    },
  });
}
