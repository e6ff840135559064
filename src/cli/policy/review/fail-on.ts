// `--fail-on`: which changes end a command with exit code 1.
import { InvalidArgumentError } from 'commander';

/** Makes the reader of the option: names with commas between. */
export const failOn =
  (known: readonly string[]) =>
  (text: string, before: readonly string[] = []): string[] => {
    const names = text.split(',').map((name) => name.trim().replace(/\s*(→|->|:)\s*/, '->'));
    for (const name of names)
      if (!known.includes(name)) throw new InvalidArgumentError(`"${name}" is none of ${known.join(', ')}.`);
    return [...before, ...names];
  };
