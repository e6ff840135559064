import type { ClientId, ClientRef } from '../../src/identity/client.ts';

/** A made-up client reference. Stores only use it as a key and do not look into it. */
export const ref = (text: string): ClientRef => text as ClientRef;
export const clientId = (text: string): ClientId => text as ClientId;
