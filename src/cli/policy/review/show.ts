// Shows a report: on the terminal, and as Markdown and HTML in files.
import { writeFileSync } from 'node:fs';
import { messageOf, OperatorError } from '../../../core/errors.ts';
import type { Block } from '../../../policy/report/document/document.ts';
import { html } from '../../../policy/report/document/html.ts';
import { markdown } from '../../../policy/report/document/markdown.ts';
import { terminal } from '../../../policy/report/document/terminal.ts';
import { paint, print, printJson, progress } from '../../output.ts';

export interface ShowOptions {
  json?: boolean;
  /** Files; "-" is standard output. */
  markdown?: string;
  html?: string;
}

const STYLES = { good: 'green', bad: 'red', warn: 'yellow', quiet: 'dim', heading: 'bold', code: 'cyan' } as const;

/** Writes what was asked for. `data` is what --json prints. Throws an OperatorError for a file that cannot be written. */
export function show(title: string, blocks: readonly Block[], data: object, options: ShowOptions): void {
  const toOutput = [options.markdown, options.html].includes('-');
  if (options.markdown !== undefined) write(options.markdown, markdown(blocks));
  if (options.html !== undefined) write(options.html, html(title, blocks));
  if (options.json) printJson(data);
  else if (!toOutput) for (const line of terminal(blocks, (tone, text) => paint(STYLES[tone], text))) print(line);
}

function write(file: string, text: string): void {
  if (file === '-') {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(file, text);
  } catch (thrown) {
    throw new OperatorError(`${file} cannot be written: ${messageOf(thrown)}`);
  }
  progress(`written: ${file}`);
}
