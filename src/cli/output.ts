// What commands print: results on standard output, progress on standard error, colour on terminals only.
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

export const print = (line = ''): void => void process.stdout.write(`${line}\n`);
export const printJson = (value: unknown): void => print(JSON.stringify(value));
export const progress = (line: string): void => void process.stderr.write(`${line}\n`);

export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return stream.isTTY && !process.env.NO_COLOR ? styleText(style, text) : text;
}
