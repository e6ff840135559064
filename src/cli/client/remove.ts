// `sallyport client remove`: takes a client out of the client file, with its attributes. A running connector accepts its key
// no more within a second; what it has opened at backends goes on until it ends or is revoked.
import { attributesFile, readAttributes, setAttributes } from '../../identity/api-keys/attributes.ts';
import { readClientFile, removeClient } from '../../identity/client-file.ts';
import { print, printJson, progress } from '../output.ts';

/** Removes it. Throws an OperatorError when the file has no such client or cannot be used. */
export function clientRemove(id: string, { file, json }: { file: string; json?: boolean }): void {
  removeClient(file, readClientFile(file), id);
  const beside = attributesFile(file);
  if (readAttributes(beside).has(id)) setAttributes(beside, id, undefined);
  if (json) return printJson({ removed: id });
  print(`client "${id}" is removed from ${file}`);
  progress(`its backend sessions go on until they end; to end them now: sallyport revoke --client ${id} --reason TEXT`);
}
