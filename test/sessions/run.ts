// `npm run test:sessions` searches for a sequence of events after which a backend session lives that nobody knows of.
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { parseArgs } from 'node:util';
import { paint } from '../../src/cli/output.ts';
import { runSequences } from './sequences.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (options.help) {
  console.log(
    'Usage: npm run test:sessions -- [--seconds N] [--seed N] [--json]\nExit code 0: no sequence left a session that nobody knows of.',
  );
  process.exit(0);
}
const number = (name: string, text: string): number => {
  const value = Number(text);
  if (Number.isSafeInteger(value)) return value;
  console.error(`--${name} takes a whole number, not "${text}"`);
  process.exit(2);
};
const redisProgram = ['redis-server', 'valkey-server']
  .flatMap((name) => (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((file) => existsSync(file));
if (redisProgram === undefined) {
  console.error('The sequences need a real Redis: install redis-server (or valkey) and put it on PATH.');
  process.exit(1);
}
const seconds = number('seconds', options.seconds);
const seed = options.seed === undefined ? Date.now() % 2 ** 31 : number('seed', options.seed);
const say = options.json ? () => {} : (line: string) => console.log(line);
const ran = await runSequences({ redisProgram, seconds, seed, say });
if (options.json) console.log(JSON.stringify({ ...ran, seed }));
else {
  console.log(`\n${ran.sequences} sequences, ${ran.operations} operations, seed ${seed}`);
  console.log(
    ran.failure === undefined
      ? paint('green', 'no session lived that nobody knew of')
      : paint('red', `BROKEN: ${ran.failure}`),
  );
}
process.exitCode = ran.failure === undefined ? 0 : 1;
