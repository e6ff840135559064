#!/usr/bin/env node
// Entry point of the process: runs the command line and sets the exit code. 0: the command succeeded. 1:
// something must be fixed. 2: the command line was not understood.
import { CommanderError } from 'commander';
import { createProgram } from './cli/program.ts';
import { OperatorError } from './core/errors.ts';

// The reader of our output may close the pipe early (`| head`). The EPIPE that follows is ignored, so that the
// command still finishes its work.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

try {
  await createProgram().parseAsync();
} catch (thrown) {
  if (thrown instanceof CommanderError) {
    process.exitCode = thrown.exitCode === 0 ? 0 : 2;
  } else if (thrown instanceof OperatorError) {
    console.error(thrown.message);
    process.exitCode = 1;
  } else {
    // A defect of Sallyport, not a mistake of the operator: the stack is printed so that it can be put into a bug
    // report.
    console.error(thrown instanceof Error ? (thrown.stack ?? thrown.name) : 'sallyport failed');
    process.exitCode = 1;
  }
}
