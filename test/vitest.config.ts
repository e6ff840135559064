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
    // Each test file starts its own servers on free ports; two files at a time suit a small machine.
    pool: 'forks',
    maxWorkers: 2,
    // `npm test -- --coverage` shows what the tests of this process reach; processes they start are not counted.
    coverage: {
      provider: 'v8',
      include: ['src/**/*.ts'],
      reporter: ['text-summary', 'json-summary'],
      thresholds: { statements: 75, branches: 65, functions: 75, lines: 75 },
    },
  },
});
