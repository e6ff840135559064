// Finds programs that tests start. Debian keeps servers in folders that are not on the PATH of every user.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export function onPath(program: string): string | null {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, program)).find((file) => existsSync(file)) ?? null;
}
