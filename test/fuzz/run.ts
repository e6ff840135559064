// `npm run fuzz` sends generated input to the front door and to everything that reads text from outside.
import { parseArgs } from 'node:util';
import { paint } from '../../src/cli/output.ts';
import { doorFuzzers } from './door.ts';
import { fuzz } from './fuzzer.ts';
import { parserFuzzers } from './parsers.ts';

const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    only: { type: 'string', multiple: true, default: [] },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});
if (options.help) {
  console.log(`Usage: npm run fuzz -- [--seconds N] [--seed N] [--only NAME]... [--json]

Fuzzers: requests as bytes, messages, exact JSON, arguments, addresses, encodings of a secret, answers of a backend.
They take turns for N seconds (60). The same seed sends the same input. Exit code 0: everything held.`);
  process.exit(0);
}
const whole = (name: string, text: string): number => {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  console.error(`--${name} takes a whole number, not "${text}"`);
  process.exit(2);
};
const seconds = whole('seconds', options.seconds);
const seed = options.seed === undefined ? Date.now() % 2 ** 31 : whole('seed', options.seed);
const all = [...(await doorFuzzers()), ...parserFuzzers()];
const chosen = all.filter(({ name }) => options.only.length === 0 || options.only.includes(name));
if (chosen.length === 0) {
  console.error(`no fuzzer "${options.only.join('", "')}"; --help names them`);
  process.exit(2);
}
const { inputs, counts, failure } = await fuzz(chosen, seconds, seed);
if (options.json) console.log(JSON.stringify({ seed, inputs, counts, failure: failure ?? null }));
else {
  for (const [name, outcomes] of Object.entries(counts))
    console.log(
      `${name.padEnd(24)}${Object.entries(outcomes)
        .map(([outcome, n]) => `${outcome} ${n}`)
        .join(', ')}`,
    );
  console.log(`\n${inputs} inputs, seed ${seed}`);
  console.log(failure === undefined ? paint('green', 'everything held') : paint('red', `BROKEN: ${failure}`));
}
process.exit(failure === undefined ? 0 : 1);
