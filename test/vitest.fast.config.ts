// `npm run test:fast` runs the tests that show within a minute whether a change works. They need only Node: no OPA is
// built, and nothing is started that takes seconds. `npm test` runs everything.
import { mergeConfig } from 'vitest/config';
import whole from './vitest.config.ts';

process.env.SALLYPORT_TESTS = 'fast';

export default mergeConfig(whole, {
  test: {
    exclude: [
      '**/node_modules/**',
      'test/{attacks,replicas,sessions,cli,tools,openapi}/**',
      'test/contract/redis-topologies.test.ts',
      'test/flow/{failures,mcp}.test.ts',
    ],
  },
});
