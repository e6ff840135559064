// Finds one decision in logs by its id, or reads an input from a file.
import { readFileSync } from 'node:fs';
import { messageOf, OperatorError } from '../../core/errors.ts';
import { type DecisionInput, inputSchema } from '../../decision/schema.ts';
import { isObject } from '../../formats/json.ts';
import { partsOf } from '../../formats/lines/files.ts';
import { readPart } from '../../formats/lines/part.ts';
import { type DecisionRecord, readLine } from '../replay/record.ts';

const NEWLINE = 0x0a;

/** Rejects with an OperatorError where no file has it, or where no policy has decided it. */
export async function findDecision(id: string, files: readonly string[]): Promise<DecisionRecord> {
  if (!/^[\w-]{1,128}$/.test(id)) throw new OperatorError(`${JSON.stringify(id)} is no id of a decision`);
  const wanted = Buffer.from(`"decision_id":"${id}"`);
  let refused = false;
  for (const file of files)
    for (const part of partsOf(file).parts) {
      let found: DecisionRecord | undefined;
      let rest = Buffer.alloc(0);
      const look = (line: Buffer) => {
        if (found || !line.includes(wanted)) return;
        const read = readLine(line.toString('utf8'));
        if (read.kind === 'decision' && read.record.id === id) found = read.record;
        if (read.kind === 'connector') refused = true;
      };
      const problem = await readPart(
        part,
        (block) => {
          const all = rest.length === 0 ? block : Buffer.concat([rest, block]);
          let at = 0;
          for (let end = all.indexOf(NEWLINE); end !== -1; end = all.indexOf(NEWLINE, at)) {
            look(all.subarray(at, end));
            at = end + 1;
          }
          rest = Buffer.from(all.subarray(at));
        },
        () => {},
      );
      look(rest);
      if (found) return found;
      if (problem !== undefined) throw new OperatorError(`${file} cannot be read any further: ${problem}`);
    }
  throw new OperatorError(
    refused
      ? `no policy has decided ${id}: the connector refused the call by itself, and its record says why`
      : `no decision ${id} is in ${files.join(', ')}`,
  );
}

/** Reads an input, or a record with one; "-" is standard input. Throws an OperatorError for anything else. */
export function readInput(file: string): DecisionInput {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file === '-' ? 0 : file, 'utf8'));
  } catch (thrown) {
    throw new OperatorError(`${file} is no JSON, or cannot be read: ${messageOf(thrown)}`);
  }
  const input = isObject(value) && isObject(value.input) ? value.input : value;
  const checked = inputSchema.safeParse(input);
  if (checked.success) return checked.data;
  const problems = checked.error.issues
    .slice(0, 5)
    .map(({ path, message }) => `${path.map(String).join('.') || 'input'}: ${message}`);
  throw new OperatorError(`${file} is no decision input (docs/decision-contract.md): ${problems.join('; ')}`);
}
