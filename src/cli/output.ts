// How commands print: results on standard output, progress on standard error, colour only on terminals.
import { styleText } from 'node:util';

type Style = Parameters<typeof styleText>[0];

/** Prints one line of a result. */
export const print = (line = ''): void => void process.stdout.write(`${line}\n`);
/** Prints a result as one line of JSON. */
export const printJson = (value: unknown): void => print(JSON.stringify(value));
/** Prints one line about progress to standard error. */
export const progress = (line: string): void => void process.stderr.write(`${line}\n`);

/** Colours text when the stream is a terminal and NO_COLOR is not set. */
export function paint(style: Style, text: string, stream: NodeJS.WriteStream = process.stdout): string {
  return stream.isTTY && !process.env.NO_COLOR ? styleText(style, text) : text;
}
