// The only home of jsdiff.
import { createTwoFilesPatch } from 'diff';

/** A unified diff of one file. */
export const patchOf = (name: string, before: string, after: string, context = 3): string =>
  createTwoFilesPatch(`a/${name}`, `b/${name}`, before, after, '', '', { context });
