// Mcp-Session-Id: a sealed handle, bound to the client it was given to. It authenticates nobody; it only
// marks one conversation, so that a replay within it is recognised. It holds 128 random bits, and the time, the number
// of the newest revocation and the epoch of the store when it was minted.

import { randomBytes } from 'node:crypto';
import { BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { FactsPort } from '../facts/port.ts';
import type { Client } from '../identity/client.ts';
import type { Sealer } from '../keyring/sealing.ts';
import { CONTROL_AGE_MS, type ControlPort, epochMark, revokedSince } from '../session/control.ts';

/** Mints and opens handles. Both methods reject when the store does not answer. */
export interface Handles {
  /** Mints a handle for the client and records it in the store. */
  mint(client: Client): Promise<string>;
  /** Answers the id in the handle, or why it is none of this client. The client is not told which. */
  open(handle: string, client: Client): Promise<OpenedHandle>;
}

/**
 * `foreign`: it was sealed with a key of ours and does not open for this client, so it was given to another one, or is forged.
 * `revoked`: it was this client's until somebody revoked it. `unknown`: anything else, such as one that has expired.
 */
export type OpenedHandle = { id: string } | { id: undefined; cause: 'unknown' | 'foreign' | 'revoked' };

/** What handles are made from. `lifetimeMs` is how long a handle lives after it was minted. */
export interface HandlesOptions {
  sealer: Sealer;
  facts: FactsPort;
  control: ControlPort;
  clock: Clock;
  lifetimeMs: number;
}

const UNKNOWN: OpenedHandle = { id: undefined, cause: 'unknown' };
const ID_BYTES = 16;
/** Where the mark of the epoch is. Handles of before layout 2 end there, and are of an epoch that is over. */
const EPOCH = ID_BYTES + 16;
const EPOCH_BYTES = 8;
/** Most opened handles that are kept. */
const OPENED_HANDLES = 10_000;

/** Creates the port. Handles minted by one replica open at every replica with the same keyring and store. */
export function createHandles({ sealer, facts, control, clock, lifetimeMs }: HandlesOptions): Handles {
  /** What handles that were opened before say, by client and handle, because opening costs a decryption. */
  const opened = new BoundedCache<string, Opened>(OPENED_HANDLES);

  function unseal(handle: string, client: Client): Opened | undefined {
    const key = `${client.ref} ${handle}`;
    const known = opened.get(key);
    if (known && sealer.holds(handle)) return known;
    const payload = sealer.open(handle, client.ref);
    if (payload?.length !== EPOCH && payload?.length !== EPOCH + EPOCH_BYTES) return undefined;
    const fresh = {
      id: idOf(payload),
      mintedAt: Number(payload.readBigUInt64BE(ID_BYTES)),
      lastRevocation: Number(payload.readBigUInt64BE(ID_BYTES + 8)),
      epoch: payload.toString('hex', EPOCH),
    };
    opened.set(key, fresh);
    return fresh;
  }

  return {
    async mint(client) {
      const { lastRevocation, epoch } = await control.read(0);
      const payload = Buffer.alloc(EPOCH + EPOCH_BYTES);
      randomBytes(ID_BYTES).copy(payload);
      payload.writeBigUInt64BE(BigInt(Math.floor(clock.now())), ID_BYTES);
      payload.writeBigUInt64BE(BigInt(lastRevocation), ID_BYTES + 8);
      payload.write(epochMark(epoch), EPOCH, 'hex');
      await facts.openHandle(client.ref, idOf(payload));
      return sealer.seal(payload, client.ref);
    },
    async open(handle, client) {
      if (handle.length > 200) return UNKNOWN;
      const known = unseal(handle, client);
      if (!known) return sealer.holds(handle) ? { id: undefined, cause: 'foreign' } : UNKNOWN;
      if (clock.now() - known.mintedAt >= lifetimeMs) return UNKNOWN;
      const owner = { client: client.id, subject: client.subject, issuer: client.issuer };
      if (revokedSince(await control.read(CONTROL_AGE_MS), known.lastRevocation, owner))
        return { id: undefined, cause: 'revoked' };
      return (await facts.handleState(client.ref, known.id, known.epoch)) === 'known' ? { id: known.id } : UNKNOWN;
    },
  };
}

/** `mintedAt` in milliseconds since 1970; `epoch` is its mark, "" in handles of before layout 2. */
interface Opened {
  id: string;
  mintedAt: number;
  lastRevocation: number;
  epoch: string;
}

const idOf = (payload: Buffer): string => payload.toString('base64url', 0, ID_BYTES);
