import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    root: fileURLToPath(new URL('..', import.meta.url)),
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/support/requirements.ts'],
    reporters: ['default', './test/support/loud-reporter.ts'],
    testTimeout: 30_000,
    hookTimeout: 30_000,
    // Each file has servers of its own on free ports; two at a time suit a small machine.
    pool: 'forks',
    maxWorkers: 2,
  },
});
