// `sallyport client add`: adds a client. Its API key is printed once and stored nowhere; only its hash is.
import { existsSync } from 'node:fs';
import { OperatorError } from '../../core/errors.ts';
import { addClient, readClientFile } from '../../identity/client-file.ts';
import { print, printJson, progress } from '../output.ts';

/** Options of the command. */
export interface ClientAddOptions {
  file: string;
  role: string[];
  scope: string[];
  subject?: string;
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
  if (options.json) return printJson({ id, key: key.reveal() });
  progress(`client "${id}" is in ${options.file}; its key is shown only now:`);
  print(key.reveal());
}
