// Mcp-Session-Id: a sealed handle, bound to the client it was given to. It authenticates
// nobody; it only tells a replay within one conversation. 128 random bits, a time, and the newest
// revocation of that time, sealed.

import { randomBytes } from 'node:crypto';
import { BoundedCache } from '../core/bounded-cache.ts';
import type { Clock } from '../core/clock.ts';
import type { FactsPort } from '../facts/port.ts';
import type { Client } from '../identity/client.ts';
import type { Sealer } from '../keyring/sealing.ts';
import { CONTROL_AGE_MS, type ControlPort, revokedSince } from '../session/control.ts';

export interface Handles {
  /** Mints a handle for the client and remembers it. */
  mint(client: Client): Promise<string>;
  /** The id inside, or undefined alike for unknown, expired, foreign and used-up handles. */
  open(handle: string, client: Client): Promise<string | undefined>;
}

export interface HandlesOptions {
  sealer: Sealer;
  facts: FactsPort;
  control: ControlPort;
  clock: Clock;
  lifetimeMs: number;
}

const ID_BYTES = 16;
const OPENED_HANDLES = 10_000;

export function createHandles({ sealer, facts, control, clock, lifetimeMs }: HandlesOptions): Handles {
  /** Handles that were opened, under their owner: opening one again costs a decryption. */
  const opened = new BoundedCache<string, Buffer>(OPENED_HANDLES);

  function unseal(handle: string, client: Client): Buffer | undefined {
    const key = `${client.ref} ${handle}`;
    const known = opened.get(key);
    if (known && sealer.holds(handle)) return known;
    const payload = sealer.open(handle, client.ref);
    if (payload?.length !== ID_BYTES + 16) return undefined;
    opened.set(key, payload);
    return payload;
  }

  return {
    async mint(client) {
      const { lastRevocation: revision } = await control.read(0);
      const payload = Buffer.alloc(ID_BYTES + 16);
      randomBytes(ID_BYTES).copy(payload);
      payload.writeBigUInt64BE(BigInt(Math.floor(clock.now())), ID_BYTES);
      payload.writeBigUInt64BE(BigInt(revision), ID_BYTES + 8);
      await facts.openHandle(client.ref, idOf(payload));
      return sealer.seal(payload, client.ref);
    },
    async open(handle, client) {
      if (handle.length > 200) return undefined;
      const payload = unseal(handle, client);
      if (!payload || clock.now() - Number(payload.readBigUInt64BE(ID_BYTES)) >= lifetimeMs) return undefined;
      const revision = Number(payload.readBigUInt64BE(ID_BYTES + 8));
      const owner = { client: client.id, subject: client.subject };
      if (revokedSince(await control.read(CONTROL_AGE_MS), revision, owner)) return undefined;
      const id = idOf(payload);
      return (await facts.handleState(client.ref, id)) === 'known' ? id : undefined;
    },
  };
}

const idOf = (payload: Buffer): string => payload.toString('base64url', 0, ID_BYTES);
