#!/usr/bin/env node
// Process entry: arguments in, exit code out. 0: done. 1: something must be fixed. 2: wrong usage.
import { CommanderError } from 'commander';
import { createProgram } from './cli/program.ts';
import { OperatorError } from './core/errors.ts';

// Whoever reads may stop reading (`| head`); what is under way is finished all the same.
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
    // A fault of ours: the stack helps whoever reports it, and holds no values.
    console.error(thrown instanceof Error ? (thrown.stack ?? thrown.name) : 'sallyport failed');
    process.exitCode = 1;
  }
}
