// Why an exchange with a backend failed, as a refusal code and fixed words. Messages of libraries are never passed on: some
// quote the header they cannot send, and with it the backend token.
import { BrokenCircuitError, BulkheadRejectedError } from 'cockatiel';
import { errors } from 'undici';
import type { RefusalCode } from '../../decision/refusal-codes.ts';

export class UnsentError extends Error {}
export class DeadlineError extends Error {}
export class CancelledError extends Error {}
export class StoppingError extends Error {}
export class EncodedError extends Error {}
export class TooLargeError extends Error {}
/** The backend's certificate has another key than those that are pinned. */
export class PinError extends Error {
  readonly code = 'ERR_TLS_KEY_NOT_PINNED';
}

/** What says nothing about the health of the backend: a request that was given up, an answer that is too long or encoded. */
export const saysNothing = (error: unknown): boolean =>
  [
    UnsentError,
    CancelledError,
    StoppingError,
    EncodedError,
    TooLargeError,
    errors.ResponseExceededMaxSizeError,
    errors.HeadersOverflowError,
  ].some((own) => error instanceof own);

export function classify(error: unknown): { code: RefusalCode; detail: string } {
  if (error instanceof DeadlineError) return { code: 'backend.deadline', detail: 'deadline' };
  if (error instanceof CancelledError) return { code: 'call.cancelled', detail: 'cancelled' };
  if (error instanceof StoppingError) return { code: 'call.cut_short', detail: 'the connector stops' };
  if (error instanceof EncodedError) return { code: 'backend.response_unusable', detail: 'content-encoding' };
  if (error instanceof BulkheadRejectedError) return { code: 'backend.overloaded', detail: 'queue full' };
  if (error instanceof BrokenCircuitError) return { code: 'backend.unavailable', detail: 'circuit open' };
  if (error instanceof errors.HeadersOverflowError)
    return { code: 'backend.response_too_large', detail: 'the headers are longer than max_header_bytes' };
  if (error instanceof errors.ResponseExceededMaxSizeError || error instanceof TooLargeError)
    return { code: 'backend.response_too_large', detail: 'the answer is longer than max_response_bytes' };
  const code = codeOf(error);
  const mend = MENDS.find(([pattern]) => pattern.test(code))?.[1];
  return { code: 'backend.unavailable', detail: mend === undefined ? code : `${code}: ${mend}` };
}

function codeOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'network error';
}

/** What to set where TLS does not come about. */
const MENDS: readonly (readonly [RegExp, string])[] = [
  [/^ERR_TLS_CERT_ALTNAME_INVALID$/, 'the certificate names another host; set tls.server_name to a name that is in it'],
  [
    /^(SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(_LOCALLY)?)$/,
    'nobody who is trusted has signed the certificate; set ca_file to its authority (or to itself), or tls.pin to its key',
  ],
  [/^CERT_HAS_EXPIRED$/, 'the certificate has ended; have it renewed, or set tls.pin to its key'],
  [/^CERT_NOT_YET_VALID$/, 'the certificate is not valid yet; look at the clocks'],
  [/^ERR_TLS_KEY_NOT_PINNED$/, 'the certificate has another key than those in tls.pin'],
  [
    /^(ERR_SSL_WRONG_VERSION_NUMBER|ERR_SSL_PACKET_LENGTH_TOO_LONG|EPROTO)$/,
    'it does not speak TLS there; is it http:// ?',
  ],
  [
    /^ERR_SSL_(TLSV13_ALERT_CERTIFICATE_REQUIRED|SSLV3_ALERT_HANDSHAKE_FAILURE|SSLV3_ALERT_BAD_CERTIFICATE|TLSV1_ALERT_UNKNOWN_CA)$/,
    'it wants another client certificate, or one at all; set tls.cert_file and tls.key_file',
  ],
  [/^ERR_PROXY_407$/, 'the proxy wants credentials; set proxy: { url, user, password }'],
  [/^ERR_PROXY_/, 'the proxy lets no connection to the backend through'],
  [
    /^ERR_SSL_(UNSUPPORTED_PROTOCOL|TLSV1_ALERT_PROTOCOL_VERSION|DH_KEY_TOO_SMALL|EE_KEY_TOO_SMALL)$/,
    'it speaks a TLS that is too old or too weak; put a proxy with a newer one in front of it',
  ],
];
