// `sallyport client list`: the clients of a client file with what they may do. Keys are nowhere, and their hashes are not shown.
import { attributesFile, readAttributes } from '../../identity/api-keys/attributes.ts';
import { readClientFile } from '../../identity/client-file.ts';
import { paint, print, printJson } from '../output.ts';

/** Prints one line for each client. Throws an OperatorError for a file that cannot be used. */
export function clientList({ file, json }: { file: string; json?: boolean }): void {
  const attributes = readAttributes(attributesFile(file));
  const clients = readClientFile(file).map(({ key_sha256: _hash, ...client }) => ({
    ...client,
    attributes: attributes.get(client.id) ?? {},
  }));
  if (json) return printJson({ clients });
  const width = Math.max(0, ...clients.map(({ id }) => id.length));
  for (const { id, subject, roles, scopes, expires_at: expires, attributes: own } of clients) {
    const ended = expires !== null && Date.parse(expires) <= Date.now();
    const parts = [
      `roles ${roles.join(' ') || 'none'}`,
      ...(scopes.length > 0 ? [`scopes ${scopes.join(' ')}`] : []),
      ...(subject === id ? [] : [`acts for ${subject}`]),
      ...(Object.keys(own).length > 0 ? [`attributes ${JSON.stringify(own)}`] : []),
      ...(expires === null ? [] : [ended ? paint('red', `ended ${expires}`) : `ends ${expires}`]),
    ];
    print(`${id.padEnd(width)}  ${parts.join(', ')}`);
  }
  if (clients.length === 0) print(`${file} has no client`);
}
