import type { ClientId, ClientRef } from '../../src/identity/client.ts';

/** A client as stores know it, made up: stores do not look into it. */
export const ref = (text: string): ClientRef => text as ClientRef;
export const clientId = (text: string): ClientId => text as ClientId;
