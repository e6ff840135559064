// Ways in which a page may write a value, as real software does it. Each gives text that holds the value.
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';

const each = (text: string, way: (c: string, i: number) => string) => [...text].map(way).join('');
const hexOf = (c: string, digits = 2) => c.charCodeAt(0).toString(16).padStart(digits, '0');
const percent = (text: string) => each(text, (c) => `%${hexOf(c)}`);
const base64 = (data: string | Buffer) => Buffer.from(data).toString('base64');
const lines = (text: string, width: number, end = '\n') =>
  text.match(new RegExp(`.{1,${width}}`, 'g'))?.join(end) ?? '';
const hex = (text: string) => Buffer.from(text).toString('hex');
const utf16 = (text: string) => Buffer.from(text, 'utf16le');
const swapped = (text: string) => Buffer.from(text, 'utf16le').swap16();
const padded = (text: string) => `viewstate=${'some ordinary state of the page; '.repeat(4)}${text}; and more of it`;

/** A ZIP archive with one deflated entry, without its directory: that is all a reader of the entry needs. */
export function zipOf(text: string): Buffer {
  const name = Buffer.from('word/document.xml');
  const data = deflateRawSync(text);
  const header = Buffer.alloc(30);
  header.write('PK\x03\x04', 'latin1');
  header.writeUInt16LE(8, 8);
  header.writeUInt32LE(data.length, 18);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, name, data]);
}

export const ENCODINGS: Record<string, (value: string) => string> = {
  plain: (v) => v,
  'URL component': (v) => encodeURIComponent(v),
  'percent codes for every byte': percent,
  'percent codes in capitals': (v) => percent(v).toUpperCase(),
  'percent codes for every second letter': (v) => each(v, (c, i) => (i % 2 ? `%${hexOf(c)}` : c)),
  'percent codes twice': (v) => encodeURIComponent(percent(v)),
  'percent codes three times': (v) => encodeURIComponent(encodeURIComponent(percent(v))),
  'URL component twice': (v) => encodeURIComponent(encodeURIComponent(v)),
  'decimal references': (v) => each(v, (c) => `&#${c.charCodeAt(0)};`),
  'decimal references without semicolons': (v) => each(v, (c) => `&#${String(c.charCodeAt(0)).padStart(4, '0')}`),
  'hexadecimal references': (v) => each(v, (c) => `&#x${hexOf(c)};`),
  'references of references': (v) => each(v, (c) => `&amp;#${c.charCodeAt(0)};`),
  'percent codes of references': (v) => encodeURIComponent(each(v, (c) => `&#${c.charCodeAt(0)};`)),
  'script escapes \\u': (v) => each(v, (c) => `\\u${hexOf(c, 4)}`),
  'script escapes \\u{}': (v) => each(v, (c) => `\\u{${hexOf(c)}}`),
  'script escapes \\x': (v) => each(v, (c) => `\\x${hexOf(c)}`),
  'octal escapes': (v) => each(v, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`),
  'JSON in JSON in a script': (v) => JSON.stringify(JSON.stringify(each(v, (c) => `\\u${hexOf(c, 4)}`))),
  'JSON in JSON': (v) => JSON.stringify(JSON.stringify({ session: v })),
  base64: (v) => base64(v),
  'base64 within more': (v) => base64(padded(v)),
  'base64url within more': (v) => Buffer.from(padded(v)).toString('base64url'),
  'base64 in lines of 64': (v) => lines(base64(padded(v)), 64),
  'base64 in lines of 76, CR LF': (v) => lines(base64(padded(v)), 76, '\r\n'),
  'base64 in short lines': (v) => lines(base64(v), 20),
  'base64 twice': (v) => base64(base64(padded(v))),
  'base64 three times': (v) => base64(base64(base64(v))),
  'base64 in small letters': (v) => base64(v).toLowerCase(),
  'base64 in capitals': (v) => base64(v).toUpperCase(),
  'base64 with percent codes': (v) => encodeURIComponent(base64(padded(`${v}??>>`))),
  'base64 of percent codes': (v) => base64(percent(v)),
  hex: hex,
  'hex in capitals': (v) => hex(v).toUpperCase(),
  'hex within more': (v) => hex(padded(v)),
  'hex with spaces': (v) => hex(v).replace(/(..)/g, '$1 '),
  'hex with colons': (v) => (hex(v).match(/../g) ?? []).join(':').toUpperCase(),
  'hex as a list': (v) => (hex(v).match(/../g) ?? []).map((byte) => `0x${byte}`).join(', '),
  'bytes as a list': (v) => [...Buffer.from(v)].join(','),
  'hex of base64': (v) => hex(base64(v)),
  'base64 of hex': (v) => base64(hex(v)),
  'UTF-16 in base64': (v) => base64(utf16(v)),
  'UTF-16, the other way, in hex': (v) => swapped(v).toString('hex'),
  'gzip in base64': (v) => base64(gzipSync(padded(v))),
  'zlib in base64url': (v) => deflateSync(padded(v)).toString('base64url'),
  'zlib in hex': (v) => deflateSync(padded(v)).toString('hex'),
  'a ZIP archive in base64': (v) => base64(zipOf(padded(v))),
  'a ZIP archive in lines of base64': (v) => lines(base64(zipOf(`${'x<w:t>'.repeat(50)}${v}`)), 76),
  'gzip in base64 after a word': (v) => `InternalServerError ${base64(gzipSync(padded(v)))}`,
  'gzip in base64 as a path': (v) => `/d/${gzipSync(padded(v)).toString('base64url')}`,
  'base64 twice after a prefix': (v) => `cursor_${base64(base64(v))}`,
  'gzip in base64 with escaped slashes': (v) => base64(gzipSync(padded(v))).replaceAll('/', '\\/'),
  'zlib with another window': (v) => deflateSync(padded(v), { windowBits: 12 }).toString('base64'),
  'bytes, one on each line': (v) => JSON.stringify(Buffer.from(v), null, 2),
  'hex in groups of four': (v) => hex(v).replace(/(....)/g, '$1 '),
  'hex in groups of eight': (v) => hex(v).replace(/(.{8})/g, '$1-'),
  'percent codes twice, long': (v) => encodeURIComponent(percent(`${'x'.repeat(2040)}${v}`)),
  'gzip of base64 of gzip': (v) => base64(gzipSync(base64(gzipSync(v)))),
  'the first 80 %': (v) => v.slice(0, Math.ceil(v.length * 0.8)),
  'the last 80 %': (v) => v.slice(-Math.ceil(v.length * 0.8)),
  'the middle 80 %': (v) => v.slice(Math.floor(v.length * 0.1), Math.floor(v.length * 0.1) + Math.ceil(v.length * 0.8)),
  '80 % in base64': (v) => base64(padded(v.slice(0, Math.ceil(v.length * 0.8)))),
  '80 % in percent codes': (v) => percent(v.slice(0, Math.ceil(v.length * 0.8))),
};
