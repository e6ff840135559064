// The decision contract, version 1: what goes into the policy and what comes out. These schemas are the only
// source: the TypeScript types are inferred from them, and policies/schemas/*.json are generated from them (`npm
// run check` compares). Names are in snake case; facts are aggregates; nothing is secret (R-36).
import { z } from 'zod';
import type { ClientId } from '../identity/client.ts';

const count = z.int().nonnegative();
const seconds = z.int().nonnegative();

/**
 * A place that a session is bound to: address and network in CIDR form, null until it was used from that address
 * family.
 */
const placeSchema = z.strictObject({ ip: z.string(), network: z.string() }).nullable();
/**
 * The identity and the places that a backend session is bound to (C02, R-04): one place for each address family
 * (R-12).
 */
export const boundSchema = z.strictObject({
  client_id: z.string(),
  subject: z.string(),
  key: z.string().min(1).nullable(),
  ipv4: placeSchema,
  ipv6: placeSchema,
  /** Further networks that the session was rotated for, by a client that proves its key. At most three. */
  networks: z.array(z.string()).max(3).optional(),
});

/** A network that the client has called from within the last hour. */
const networkSchema = z.strictObject({
  network: z.string(),
  calls: count,
  last_seen_seconds: seconds,
  /**
   * How long ago the client last came back to this network, how long it had been away, and from which network of the
   * same address family it came. Left out where it never came back.
   */
  returned_seconds: seconds.optional(),
  away_seconds: seconds.optional(),
  returned_from: z.string().optional(),
  /** Every call from there was refused because of the place itself, so that the client is not in use there. */
  refused: z.literal(true).optional(),
});

const weekday = z.enum(['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday']);
const hour = z.int().min(0).max(23);
/** What a clock on the wall shows in a time zone. */
const localTimeSchema = z.strictObject({
  date: z.string().regex(/^\d{4}-\d\d-\d\d$/),
  weekday,
  hour,
  minute: z.int().min(0).max(59),
});
/** The value of a claim that policies may read. */
const claim = z.union([z.string(), z.number(), z.boolean(), z.array(z.string())]);

/**
 * What operators have frozen and what means this call, or in a list of tools this client or some tool. `name` is ""
 * for scope "all"; `until` is RFC 3339, null for a freeze that must be thawed.
 */
const freezeSchema = z.array(
  z.strictObject({
    scope: z.enum(['all', 'backend', 'tool', 'role', 'client', 'subject']),
    name: z.string(),
    operator: z.string(),
    reason: z.string(),
    until: z.string().nullable(),
  }),
);

/**
 * One tool call as the policy sees it. Ages and limits are in whole seconds; `session` is null when there is
 * none.
 */
export const inputSchema = z.strictObject({
  version: z.literal(1),
  time: z.strictObject({
    rfc3339: z.string(),
    unix_ms: z.int(),
    weekday,
    hour,
    /** Local time in each zone of `settings.zones`. Left out where none is set. */
    zones: z.record(z.string(), localTimeSchema).optional(),
  }),
  client: z.strictObject({
    id: z.string(),
    subject: z.string(),
    issuer: z.string(),
    roles: z.array(z.string()),
    scopes: z.array(z.string()),
    ip: z.string(),
    network: z.string(),
    user_agent: z.string(),
    /**
     * Claims of the access token that `identity.claims.policy` names, or attributes of the client with an API key. Left
     * out where there are none.
     */
    claims: z.record(z.string(), claim).optional(),
    auth: z.strictObject({
      method: z.enum(['key', 'jwt', 'dpop', 'mtls']),
      age_seconds: seconds.nullable(),
      expires_in_seconds: z.int().nullable(),
      key: z.string().min(1).nullable(),
    }),
  }),
  tool: z.strictObject({
    name: z.string(),
    backend: z.string(),
    effect: z.enum(['read', 'write', 'destructive']),
    arguments: z.record(z.string(), z.unknown()),
  }),
  session: z
    .strictObject({
      id: z.string(),
      generation: z.int().positive(),
      token_age_seconds: seconds,
      age_seconds: seconds,
      idle_seconds: seconds,
      token_uses: count,
      bound: boundSchema,
    })
    .nullable(),
  usage: z.strictObject({
    calls_1m: count,
    calls_1h: count,
    denials_1h: count,
    in_flight: count,
    seconds_since_last_call: seconds.nullable(),
    networks: z.array(networkSchema),
    /** Since the last call from a network that had to make room in this list. Left out where none of the hour had. */
    networks_dropped_seconds: seconds.optional(),
    /**
     * Calls of this tool by this client that were let through in the last 90 days, and how long ago the last of them
     * ended; null when there was none, or none is remembered.
     */
    tool: z.strictObject({ calls_90d: count, last_seconds: seconds.nullable() }).optional(),
    /** True when the store has lost, or may have lost, what it knew of this client since its last call. */
    forgotten: z.boolean(),
  }),
  replay: z.strictObject({
    source: z.enum(['dpop_jti', 'rpc_id']).nullable(),
    seen: z.boolean(),
    first_seen_seconds: seconds.nullable(),
    same_network: z.boolean().nullable(),
    /**
     * Whether the ids that were used in the handle are all remembered. "lost": the store has lost those of before, so
     * an id that is not remembered may have been used all the same. Records of before 0.1 have no such field.
     */
    history: z.enum(['complete', 'lost']).nullable().optional(),
    /** Keyed fingerprint of the handle, and the JSON-RPC id: a copy has those of its original. Left out without a handle. */
    handle: z.string().optional(),
    rpc_id: z.union([z.string(), z.number()]).optional(),
  }),
  /** Left out where nothing is frozen. */
  freeze: freezeSchema.optional(),
});

/** The input for tools/list: which client wants to see which tools. */
export const listingSchema = z.strictObject({
  version: z.literal(1),
  client: inputSchema.shape.client,
  tools: z.array(inputSchema.shape.tool.omit({ arguments: true })),
  /** Left out where nothing is frozen. */
  freeze: freezeSchema.optional(),
});

/** The answer to it: names of the tools that the client may see. */
export const visibleSchema = z.array(z.string());

/** RFC 6901 pointer; the token "*" stands for every item of a list. */
const pointer = z.string().regex(/^(\/([^~/]|~[01])*)*$/);

/** Why the policy decided so: a stable code with parameters. Texts are made from them outside the policy. */
export const reasonSchema = z.strictObject({
  code: z.string().regex(/^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+$/),
  params: z.record(z.string(), z.union([z.string(), z.number(), z.boolean(), z.null()])),
});

/**
 * What a decision orders besides its outcome. An unknown obligation makes the connector refuse the call.
 */
export const obligationSchema = z.discriminatedUnion('type', [
  /** `reason`: the reason of the one finding that raised it; the decision adds it. */
  z.strictObject({
    type: z.literal('alert'),
    severity: z.enum(['low', 'medium', 'high']),
    reason: reasonSchema.optional(),
  }),
  z.strictObject({ type: z.literal('revoke_session') }),
  /** The most sessions the client id may have; applies when the call would open another one. */
  z.strictObject({ type: z.literal('limit_sessions'), limit: z.int().positive() }),
  z.strictObject({ type: z.literal('require_scope'), scope: z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/) }),
  /** `required`: a result in which a pointer meets nothing is withheld. */
  z.strictObject({ type: z.literal('mask'), pointers: z.array(pointer).min(1), required: z.boolean().optional() }),
  /** Of the list at `pointer`, the first `items` are given. */
  z.strictObject({ type: z.literal('limit_result'), pointer, items: z.int().positive() }),
]);

/** The answer of the policy. It always has at least one reason. */
export const decisionSchema = z.strictObject({
  outcome: z.enum(['allow', 'rotate', 'deny']),
  reasons: z.array(reasonSchema).min(1),
  obligations: z.array(obligationSchema),
  /** Reasons of findings that were let pass. Missing in decisions of policies before 0.1. */
  observed: z.array(reasonSchema).optional(),
});

/** One tool call as the policy sees it. */
export type DecisionInput = z.infer<typeof inputSchema>;
/** The input for tools/list. */
export type ListingInput = z.infer<typeof listingSchema>;
/** What the policy sees of the session. */
export type SessionFacts = NonNullable<DecisionInput['session']>;
/** How much the client has called, and from where. */
export type UsageFacts = DecisionInput['usage'];
/** Whether the call is a repetition, and how that is known. */
export type ReplayFacts = DecisionInput['replay'];
/** What a session is bound to. */
export type Bound = Omit<z.infer<typeof boundSchema>, 'client_id'> & { client_id: ClientId };
/** One obligation of a decision. */
export type Obligation = z.infer<typeof obligationSchema>;
/** One reason of a decision. */
export type Reason = z.infer<typeof reasonSchema>;
/** A valid answer of the policy. */
export type PolicyDecision = z.infer<typeof decisionSchema>;
/** What a tool does at the backend: `read`, `write` or `destructive`. */
export type Effect = DecisionInput['tool']['effect'];
