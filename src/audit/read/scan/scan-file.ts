// Scans a part of a file.
import { type Part, readPart } from '../../../formats/lines/part.ts';
import { keyObjects, type PublicKey } from '../public-keys.ts';
import { type Scan, Scanner } from './scan.ts';

/** `onBytes` is told how much more of the file was read. */
export async function scanPart(
  part: Part,
  keys: readonly PublicKey[],
  onBytes: (bytes: number) => void,
): Promise<Scan> {
  const scanner = new Scanner(keyObjects(keys));
  const problem = await readPart(part, (block) => scanner.feed(block), onBytes);
  const scan = scanner.end();
  return problem === undefined ? scan : { ...scan, problem };
}
