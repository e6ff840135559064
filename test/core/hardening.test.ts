import inspector from 'node:inspector';
import { expect, it } from 'vitest';
import { debuggingAids, refuseDebugging } from '../../src/core/hardening.ts';

it('R-46: the check names everything that would let somebody read the memory of the process', () => {
  expect(debuggingAids({}, [])).toEqual([]);
  expect(debuggingAids({ NODE_OPTIONS: '--max-old-space-size=512 --enable-source-maps' }, ['--import', 'tsx'])).toEqual(
    [],
  );
  for (const option of [
    '--inspect',
    '--inspect-brk=0',
    '--inspect-wait',
    '--tls-keylog=/x',
    '--heapsnapshot-signal=SIGUSR2',
    '--report-on-signal',
    '--cpu-prof',
    '--heap-prof',
  ]) {
    expect(debuggingAids({ NODE_OPTIONS: `--trace-warnings ${option}` }, [])).toHaveLength(1);
    expect(debuggingAids({}, [option])).toHaveLength(1);
  }
  for (const name of ['SSLKEYLOGFILE', 'NODE_DEBUG', 'NODE_V8_COVERAGE']) {
    expect(debuggingAids({ [name]: 'x' }, [])).toEqual([`the environment variable ${name}`]);
    expect(debuggingAids({ [name]: '' }, [])).toEqual([]);
  }
  expect(() => refuseDebugging({ NODE_DEBUG: 'tls', SSLKEYLOGFILE: '/secret/path' })).toThrow(
    /SSLKEYLOGFILE.*NODE_DEBUG.*--allow-debugging/,
  );
});

it('R-46: the check also finds an inspector that is already open', () => {
  inspector.open(0, '127.0.0.1');
  try {
    expect(debuggingAids({}, [])).toEqual(['an open inspector']);
  } finally {
    inspector.close();
  }
});
