// Fuzzers of what reads text from outside: each is compared with something simpler that must say the same.
import { isIP } from 'node:net';
import fc from 'fast-check';
import { scrubText, spellings } from '../../src/backend/answer/scrub.ts';
import { holdsEncoded, holdsSecret } from '../../src/backend/answer/views.ts';
import { createNormaliser } from '../../src/formats/arguments.ts';
import { exactJson, InexactNumber } from '../../src/formats/exact-json.ts';
import { PageTooDeepError } from '../../src/formats/html/depth.ts';
import { formFields } from '../../src/formats/html/fields.ts';
import { textOf } from '../../src/formats/html/text.ts';
import { type JsonObject, nestsDeeperThan, parseJson } from '../../src/formats/json.ts';
import { xmlToJson } from '../../src/formats/xml.ts';
import { parseAddress } from '../../src/identity/address.ts';
import { ENCODINGS } from '../support/encodings.ts';
import type { Fuzzer } from './fuzzer.ts';

function demand(holds: boolean, what: string): void {
  if (!holds) throw new Error(what);
}

/** JSON text with numbers and keys of every kind, made piece by piece so that its meaning is known. */
const number = fc.oneof(
  // Long numbers: what is computed with them must not grow faster than they do.
  { weight: 1, arbitrary: fc.nat(20_000).map((zeros) => `1.${'0'.repeat(zeros)}1`) },
  fc.integer().map(String),
  fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n }).map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc
    .tuple(fc.integer({ min: -99, max: 99 }), fc.nat(99), fc.integer({ min: -400, max: 400 }))
    .map(([a, b, e]) => `${a}.${b}e${e}`),
);
const key = fc.oneof(
  fc.constantFrom('a', 'b', '\\u0061', '__proto__', '', 'a\\"', '\\\\'),
  fc.string({ maxLength: 4 }).map((s) => JSON.stringify(s).slice(1, -1)),
);
interface Made {
  text: string;
  /** Whether some object has a key twice. */
  twice: boolean;
  numbers: string[];
}
const { made } = fc.letrec<{ made: Made }>((tie) => ({
  made: fc.oneof(
    { maxDepth: 5 },
    number.map((text) => ({ text, twice: false, numbers: [text] })),
    fc.string({ maxLength: 8 }).map((s) => ({ text: JSON.stringify(s), twice: false, numbers: [] })),
    fc.constantFrom('null', 'true', 'false').map((text) => ({ text, twice: false, numbers: [] })),
    fc.array(tie('made'), { maxLength: 4 }).map((items) => ({
      text: `[${items.map(({ text }) => text).join(' , ')}]`,
      twice: items.some(({ twice }) => twice),
      numbers: items.flatMap(({ numbers }) => numbers),
    })),
    fc.array(fc.tuple(key, tie('made')), { maxLength: 4 }).map((entries) => {
      const names = entries.map(([name]) => JSON.parse(`"${name}"`) as string);
      return {
        text: `{${entries.map(([name, { text }]) => `"${name}" :${text}`).join(',')}}`,
        twice: new Set(names).size < names.length || entries.some(([, { twice }]) => twice),
        numbers: entries.flatMap(([, { numbers }]) => numbers),
      };
    }),
  ),
}));

/** Whether a number survives, by arithmetic on whole numbers alone. */
function survives(text: string): boolean {
  const value = Number(text);
  if (!Number.isFinite(value) || text.length > 1000) return false;
  if (Number.isInteger(value) && !Number.isSafeInteger(value)) return false;
  const parts = (t: string) => {
    const [, sign, whole = '', fraction = '', exponent = '0'] =
      /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(t) ?? [];
    return { digits: BigInt(`${sign}${whole}${fraction}`), power: Number(exponent) - fraction.length };
  };
  const [a, b] = [parts(text), parts(String(value))];
  const least = Math.min(a.power, b.power);
  return a.digits * 10n ** BigInt(a.power - least) === b.digits * 10n ** BigInt(b.power - least);
}

function inexactIn(value: unknown): string[] {
  if (value instanceof InexactNumber) return [value.text];
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(inexactIn) : [];
}

const json: Fuzzer = {
  name: 'exact JSON',
  property: (count) =>
    fc.property(made, ({ text, twice, numbers }) => {
      const read = exactJson(text, JSON.parse(text));
      // What V8 reads wrong is refused, on releases that do so.
      if (!read.ok && read.problem === 'misread') return count('misread by V8');
      demand(read.ok !== twice, `a key twice: ${twice}, read: ${read.ok}`);
      count(read.ok ? 'read' : 'refused');
      if (!read.ok) return;
      const lost = numbers.filter((n) => !survives(n)).sort();
      demand(JSON.stringify(inexactIn(read.value).sort()) === JSON.stringify(lost), `inexact: ${lost}`);
    }),
};

const SCHEMA: JsonObject = {
  type: 'object',
  properties: {
    a: { type: 'integer' },
    b: { type: 'integer', format: 'int64' },
    c: { type: ['string', 'null'] },
    d: { type: 'array', items: { type: 'number' } },
  },
};
const normalise = createNormaliser(SCHEMA, { fillDefaults: false });
const argument = fc.oneof(
  number,
  fc.bigInt().map((n) => `"${n}"`),
  fc.constantFrom('null', '"x"', '[1,2]', '[1e400]', '"007"', '"-0"'),
);

const args: Fuzzer = {
  name: 'arguments',
  property: (count) =>
    fc.property(fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e'), argument), (given) => {
      const text = `{${Object.entries(given)
        .map(([name, value]) => `"${name}":${value}`)
        .join(',')}}`;
      const exact = exactJson(text, JSON.parse(text));
      if (!exact.ok) throw new Error('a key twice');
      const read = normalise(exact.value as JsonObject);
      count(read.ok ? 'taken' : 'refused');
      if (!read.ok) return demand(!/\d{17}/.test(read.problem), `the problem tells a value: ${read.problem}`);
      for (const [name, value] of Object.entries(read.arguments)) {
        const sent = (given[name] ?? '').replace(/^"(.*)"$/, '$1');
        if (name === 'a' || name === 'b')
          demand(BigInt(String(value)) === BigInt(plainDigits(sent)), `${name}: ${sent} became ${value}`);
      }
    }),
};

/** A whole number in any spelling, in plain digits. */
function plainDigits(text: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text) ?? [];
  const digits = `${whole}${fraction}`;
  const end = whole.length + Number(exponent);
  return `${sign}${digits.slice(0, Math.max(0, end)).padEnd(end, '0') || '0'}`;
}

const junk = fc.string({
  unit: fc.constantFrom(...'0123456789abcdefx:.%/[] ,', '::', '::ffff:', '%eth0', '255', '00'),
  maxLength: 12,
});
const address: Fuzzer = {
  name: 'addresses',
  property: (count) =>
    fc.property(
      fc.oneof(
        fc.ipV4(),
        fc.ipV6(),
        fc.ipV4Extended(),
        junk,
        fc.tuple(fc.ipV6(), junk).map(([a, b]) => `${a}%${b}`),
      ),
      (text) => {
        const read = parseAddress(text, { ipv4: 24, ipv6: 64 });
        count(read ? 'read' : 'refused');
        const bare = text.trim().split('%')[0] ?? '';
        if (!read) return;
        demand(isIP(bare) !== 0, `${text} is no address`);
        demand(text.split('%').length <= 2, `${text} has two zones`);
        demand(parseAddress(read.ip, { ipv4: 24, ipv6: 64 })?.ip === read.ip, `${text} has two spellings`);
      },
    ),
};

const TOKEN = 'Zk3v9QpX7mB2tRw8LcY5hN4d';
const SECRETS = spellings([TOKEN], { pieces: true });
/** What can be put around another encoding without losing it. */
const WRAPPED = [
  'percent codes for every byte',
  'URL component',
  'decimal references',
  'hexadecimal references',
  'script escapes \\u',
  'base64',
  'base64 within more',
  'hex',
  'gzip in base64',
  'JSON in JSON',
];

const encodings: Fuzzer = {
  name: 'encodings of a secret',
  property: (count) =>
    fc.property(
      fc.constantFrom(...Object.keys(ENCODINGS)),
      fc.option(fc.constantFrom(...WRAPPED), { nil: null }),
      fc.string({ maxLength: 40 }),
      fc.string({ maxLength: 40 }),
      (inner: string, outer: string | null, before: string, after: string) => {
        // In another case base64 is not base64 any more: it is found only where it stands as it is.
        const wrapped = outer !== null && !/letters|capitals/.test(inner) ? ENCODINGS[outer] : undefined;
        const once = (ENCODINGS[inner] as (v: string) => string)(TOKEN);
        const written = wrapped ? wrapped(once) : once;
        const clean = scrubText(`${before} ${written} ${after}`, SECRETS);
        const gone = !clean.includes(written);
        count(gone ? 'blanked' : 'withheld');
        demand(gone || holdsEncoded(clean, SECRETS), `${inner}${wrapped ? ` in ${outer}` : ''} came through`);
      },
    ),
};

const tag = fc.constantFrom(
  '<a>',
  '</a>',
  '<p class="x">',
  '<script>',
  '</script>',
  '<!--',
  '-->',
  '<![CDATA[',
  ']]>',
  '<input name=a value=b>',
  '<select><option selected>',
  '&amp;',
  '&#x;',
  '<?x?>',
  '<!DOCTYPE a [',
  '<table><tr><td rowspan=9 colspan=9>',
  '"',
  '{"a":',
  '1e999',
  '\\u',
  '\0',
  '\u2028',
);
const page = fc.array(fc.oneof(tag, fc.string({ maxLength: 6 })), { maxLength: 60 }).map((parts) => parts.join(''));

const pages: Fuzzer = {
  name: 'answers of a backend',
  property: (count) =>
    fc.property(page, fc.uint8Array({ maxLength: 300 }), (text, bytes) => {
      try {
        formFields(text);
        textOf([])(text);
        count('read');
      } catch (thrown) {
        if (!(thrown instanceof PageTooDeepError)) throw thrown;
        count('too deep');
      }
      const xml = xmlToJson(text, { nesting: 64 });
      demand(xml === undefined || !nestsDeeperThan(xml, 80), 'XML beyond its depth');
      parseJson(text);
      demand(!holdsEncoded(text, SECRETS), 'a secret that is not there');
      demand(!holdsSecret(Buffer.from(bytes), SECRETS), 'a secret that is not there, in bytes');
    }),
};

export const parserFuzzers = (): Fuzzer[] => [json, args, address, encodings, pages];
