// The result of every check: a list of problems with file and line, which is empty when there is none.
export type { Problem } from '../src/formats/yaml/yaml.ts';
export { formatProblem } from '../src/formats/yaml/yaml.ts';

/** 1-based line of the first difference between two texts. */
export function firstDifference(a: string, b: string): number {
  const [left, right] = [a.split('\n'), b.split('\n')];
  const at = left.findIndex((line, i) => line !== right[i]);
  return (at < 0 ? left.length : at) + 1;
}
