// A test reporter that says at the very end, where it cannot be missed, which tests did not run and why.
import type { Reporter } from 'vitest/node';

export default class LoudReporter implements Reporter {
  onTestRunEnd(): void {
    const missing = process.env.SALLYPORT_TESTS_MISSING;
    if (!missing) return;
    const line = '!'.repeat(78);
    process.stderr.write(`\n${line}\n!! TESTS WERE LEFT OUT because something is missing on this machine:\n`);
    for (const part of missing.split('\n')) process.stderr.write(`!!   ${part}\n`);
    process.stderr.write(`!! CI runs them all.\n${line}\n`);
  }
}
