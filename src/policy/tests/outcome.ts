// What became of one test.
import type { Problem } from '../../formats/yaml/yaml.ts';

/** A Rego test, a case or a sequence. */
export interface TestOutcome {
  kind: 'unit' | 'case' | 'sequence';
  name: string;
  /** As it is shown. */
  file: string;
  line: number;
  ok: boolean;
  /** Where it was measured, in seconds. */
  seconds?: number;
  /** Of one that failed, in a line. */
  message?: string;
  /** Of one that failed, in lines: values and trace, or what was expected beside what came. */
  detail?: string[];
}

/** A failed test as a problem in a file. */
export const problemOf = ({ kind, name, file, line, message = 'failed', detail = [] }: TestOutcome): Problem => ({
  ...{ file, line, path: '' },
  message: [`${name}${kind === 'unit' ? ' ' : ': '}${message}`, ...detail.map((each) => `    ${each}`)].join('\n'),
});
