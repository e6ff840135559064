// `sallyport client add`: adds a client. Its API key is printed once and stored nowhere; only its hash is.
import { existsSync } from 'node:fs';
import { OperatorError } from '../../core/errors.ts';
import {
  type Attributes,
  attributesFile,
  checkAttributes,
  readAttributes,
  setAttributes,
} from '../../identity/api-keys/attributes.ts';
import { addClient, readClientFile } from '../../identity/client-file.ts';
import { print, printJson, progress } from '../output.ts';

/** Options of the command. */
export interface ClientAddOptions {
  file: string;
  role: string[];
  scope: string[];
  subject?: string;
  attribute?: string[];
  expiresDays?: string;
  replace?: boolean;
  json?: boolean;
}

/** Adds the client and prints its key. Throws an OperatorError when the client cannot be added. */
export function clientAdd(id: string, options: ClientAddOptions): void {
  const days = options.expiresDays === undefined ? undefined : Number(options.expiresDays);
  if (days !== undefined && !(Number.isFinite(days) && days > 0))
    throw new OperatorError('--expires-days takes a number of days above 0');
  const now = new Date();
  const attributes = attributesOf(options.attribute ?? []);
  // Before the key is made: a client that is added with an attribute that cannot be would have a key that nobody saw.
  const beside = attributesFile(options.file);
  const inherited = options.attribute === undefined && options.replace !== true;
  checkAttributes(attributes);
  if (inherited && readAttributes(beside).has(id)) {
    progress(`${beside} had attributes of an earlier client "${id}"; they are removed`);
    setAttributes(beside, id, undefined);
  }
  const key = addClient(
    options.file,
    existsSync(options.file) ? readClientFile(options.file) : [],
    {
      id,
      roles: options.role,
      scopes: options.scope,
      now,
      ...(options.subject !== undefined && { subject: options.subject }),
      ...(days !== undefined && { expiresAt: new Date(now.getTime() + days * 86_400_000) }),
    },
    options.replace,
  );
  if (options.attribute) setAttributes(beside, id, attributes);
  if (options.json) return printJson({ id, key: key.reveal() });
  if (options.role.length === 0)
    progress(`client "${id}" has no role, so the policy denies each of its calls; --role gives it one`);
  progress(`client "${id}" is in ${options.file}; its key is shown only now:`);
  print(key.reveal());
}

/** `name=value`, each name once; a value that is written as JSON (a number, true, a list) is taken as that. */
function attributesOf(texts: readonly string[]): Attributes {
  const entries = texts.map((text): [string, Attributes[string]] => {
    const at = text.indexOf('=');
    if (at < 1) throw new OperatorError(`--attribute takes name=value, not "${text.slice(0, 40)}"`);
    const value = text.slice(at + 1);
    try {
      const parsed: unknown = JSON.parse(value);
      // A number that does not come back as it was written is an account number, or the like.
      const exact = typeof parsed !== 'number' || String(parsed) === value;
      if (typeof parsed !== 'string' && exact) return [text.slice(0, at), parsed as Attributes[string]];
    } catch {
      // Plain text.
    }
    return [text.slice(0, at), value];
  });
  const names = entries.map(([name]) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new OperatorError(`--attribute ${twice} is given twice`);
  return Object.fromEntries(entries);
}
