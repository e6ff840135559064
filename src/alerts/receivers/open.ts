// Receivers, from their configuration. Secrets are read at the start and at a reload, and their values are nowhere else.
import { isPlain } from '../../config/check/plaintext.ts';
import type { ReceiverConfig } from '../../config/schema/alerts.ts';
import type { SecretRef } from '../../config/schema/backend.ts';
import { resolveSecret } from '../../config/secrets.ts';
import { OperatorError } from '../../core/errors.ts';
import { readCaFile } from '../../core/files/ca-file.ts';
import type { Reloadable } from '../../core/files/reloadable.ts';
import { readSecretFile } from '../../core/files/secret-file.ts';
import { Secret } from '../../core/secret.ts';
import { createCommandReceiver } from './command.ts';
import type { Receiver } from './receiver.ts';
import { createSyslogReceiver } from './syslog.ts';
import { createWebReceiver, pagerEvent, slackMessage, standardWebhook, type Template } from './web.ts';

export interface OpenReceiverOptions {
  name: string;
  config: ReceiverConfig;
  env: NodeJS.ProcessEnv;
  /** The machine, as receivers are told it. */
  replica: string;
  onGap: (messages: number) => void;
}

export interface OpenedReceiver {
  receiver: Receiver;
  /** What of it can be read again. */
  reloadable: Reloadable | undefined;
}

/** Throws an OperatorError where a secret, an address or a certificate cannot be used. */
export function openReceiver({ name, config, env, replica, onGap }: OpenReceiverOptions): OpenedReceiver {
  const at = `alerts.receivers.${name}`;
  const timeoutMs = config.timeout_seconds * 1000;
  const ca = (file: string | undefined) => (file === undefined ? undefined : readCaFile(file, `${at}.ca_file`));
  switch (config.type) {
    case 'command':
      return { receiver: createCommandReceiver(config.command, timeoutMs, replica), reloadable: undefined };
    case 'syslog': {
      const { host, port, tls, facility, ca_file, cert_file, key_file } = config;
      const own = cert_file !== undefined && key_file !== undefined;
      const trusted = ca(ca_file);
      const secure = {
        ...(trusted !== undefined && { ca: trusted }),
        ...(own && { cert: readCaFile(cert_file, `${at}.cert_file`), key: readSecretFile(key_file) }),
      };
      const receiver = createSyslogReceiver({
        ...{ host, port: port ?? (tls ? 6514 : 601), tls: tls ? secure : undefined },
        ...{ facility, timeoutMs, replica, onGap },
      });
      return { receiver, reloadable: undefined };
    }
    default: {
      const secrets = watchSecrets(() => readWeb(config, at, env), at);
      const template = templateOf(config, secrets.present, replica);
      const url = () => secrets.present().url;
      const receiver = createWebReceiver({ url, ca: ca(config.ca_file), timeoutMs, template });
      return { receiver, reloadable: secrets.reloadable };
    }
  }
}

type Web = Extract<ReceiverConfig, { url: unknown }>;

interface WebSecrets {
  url: Secret;
  signing: Secret<Buffer>[];
  routingKey: Secret | undefined;
}

function templateOf(config: Web, present: () => WebSecrets, replica: string): Template {
  switch (config.type) {
    case 'webhook':
      return standardWebhook(() => present().signing, replica);
    case 'slack':
      return slackMessage(replica);
    case 'pagerduty':
      return pagerEvent(() => present().routingKey ?? new Secret(''), replica);
  }
}

function readWeb(config: Web, at: string, env: NodeJS.ProcessEnv): WebSecrets {
  return {
    url: readUrl(config, at, env),
    signing:
      config.type === 'webhook' ? config.secrets.map((ref, i) => signingKey(ref, `${at}.secrets.${i}`, env)) : [],
    routingKey: config.type === 'pagerduty' ? resolveSecret(config.routing_key, `${at}.routing_key`, env) : undefined,
  };
}

function readUrl({ url, plaintext }: Web, at: string, env: NodeJS.ProcessEnv): Secret {
  if (typeof url === 'string') return new Secret(url);
  const secret = resolveSecret(url, `${at}.url`, env);
  const text = secret.reveal();
  if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol))
    throw new OperatorError(`${at}.url: what it refers to is no URL that begins with https://`);
  if (isPlain(text) && plaintext !== true)
    throw new OperatorError(
      `${at}.url: what it refers to is in plain text beyond this machine: use https://, or say that it is meant with "${at}.plaintext: true"`,
    );
  return secret;
}

/** The form of Standard Webhooks 1.0: "whsec_" and 24 to 64 bytes in base64. */
function signingKey(ref: SecretRef, label: string, env: NodeJS.ProcessEnv): Secret<Buffer> {
  const text = resolveSecret(ref, label, env).reveal();
  const match = /^whsec_([A-Za-z0-9+/]+={0,2})$/.exec(text);
  const key = Buffer.from(match?.[1] ?? '', 'base64');
  if (key.length < 24 || key.length > 64)
    throw new OperatorError(
      `${label}: a signing secret is "whsec_" and 24 to 64 random bytes in base64, such as: echo "whsec_$(openssl rand -base64 32)"`,
    );
  return new Secret(key);
}

/** Holds what was read, and reads it again at a reload. */
function watchSecrets(read: () => WebSecrets, part: string): { present: () => WebSecrets; reloadable: Reloadable } {
  let present = read();
  return {
    present: () => present,
    reloadable: {
      part,
      check() {
        const fresh = read();
        if (textOf(fresh) === textOf(present)) return { result: 'unchanged' };
        return {
          result: 'changed',
          apply() {
            present = fresh;
          },
        };
      },
    },
  };
}

/** To compare only; it is kept nowhere. */
const textOf = ({ url, signing, routingKey }: WebSecrets): string =>
  JSON.stringify([url.reveal(), signing.map((key) => key.reveal().toString('hex')), routingKey?.reveal() ?? null]);
