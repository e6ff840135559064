import { spawnSync } from 'node:child_process';
import inspector from 'node:inspector';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { debuggingAids, refuseDebugging } from '../../src/core/hardening.ts';

type Reports = NonNullable<Parameters<typeof debuggingAids>[2]>;
const OFF: Reports = { reportOnFatalError: false, reportOnSignal: false, reportOnUncaughtException: false };
const aids = (changed: { env?: NodeJS.ProcessEnv; execArgv?: string[]; report?: Reports } = {}) =>
  debuggingAids(changed.env ?? {}, changed.execArgv ?? [], changed.report ?? OFF);

describe('R-46: the check names everything that would let somebody read the memory of the process', () => {
  it('nothing is found in a plain start, nor with harmless options', () => {
    expect(aids()).toEqual([]);
    const NODE_OPTIONS = '--max-old-space-size=512  --enable_source_maps "--stack-trace-limit=5" --use-openssl-ca';
    expect(aids({ env: { NODE_OPTIONS } })).toEqual([]);
    expect(aids({ execArgv: ['--max-old-space-size=64', '--import', 'tsx', '--env-file', '.env'] })).toEqual([]);
  });

  it.each([
    ...['--inspect', '--inspect-brk=0', '--inspect-wait', '--tls-keylog=/x', '--heapsnapshot-signal=SIGUSR2'],
    ...['--report-on-signal', '--cpu-prof', '--heap-prof', '--require=./x.js', '--import=tsx', '--loader=x'],
    ...['--experimental-loader=x', '--diagnostic-dir=/x', '--trace-events-enabled', '--openssl-config=/x', '-r'],
    ...['--abort-on-uncaught-exception', '--expose-internals', '--report_on_signal', '--an-option-of-tomorrow'],
  ])('%s', (option) => {
    const name = option.split('=')[0]?.replaceAll('_', '-');
    const env = { NODE_OPTIONS: `--trace-warnings ${option}` };
    expect(aids({ env })).toEqual([`NODE_OPTIONS with ${name}`]);
    // Whoever writes the command line chooses the program, so code may be loaded there.
    const loads = /^(-r$|--require|--import|--loader|--experimental-loader)/.test(option);
    expect(aids({ execArgv: [option] })).toEqual(loads ? [] : [`the Node option ${name}`]);
  });

  it.each([
    '"--heapsnapsho\\t-signal=SIGUSR2"',
    '"--tls-k\\eylog=/x"',
    '--insp"ect"',
    '"-""-inspect"',
    '--max-old-space-size=64 "--require" ./x.js',
  ])('NODE_OPTIONS=%s, as Node unquotes it', (NODE_OPTIONS) => {
    expect(aids({ env: { NODE_OPTIONS } })).not.toEqual([]);
  });

  it('values are not told', () => {
    expect(aids({ env: { NODE_OPTIONS: '-r /secret/pre.cjs --stack-size 500' } })).toEqual(['NODE_OPTIONS with -r']);
  });

  it('a quote that does not end, variables, and reports that are on', () => {
    expect(aids({ env: { NODE_OPTIONS: '"--inspect' } })).toHaveLength(1);
    for (const name of ['SSLKEYLOGFILE', 'NODE_DEBUG', 'NODE_V8_COVERAGE', 'NODE_REDIRECT_WARNINGS']) {
      expect(aids({ env: { [name]: 'x' } })).toEqual([`the environment variable ${name}`]);
      expect(aids({ env: { [name]: '' } })).toEqual([]);
    }
    const report = { reportOnFatalError: false, reportOnSignal: true, reportOnUncaughtException: false };
    expect(aids({ report })).toEqual(['diagnostic reports']);
    expect(() => refuseDebugging({ NODE_DEBUG: 'tls', SSLKEYLOGFILE: '/secret/path' })).toThrow(
      /SSLKEYLOGFILE.*NODE_DEBUG.*--allow-debugging/,
    );
  });

  it('an inspector that is already open, and a listener of SIGUSR2', () => {
    inspector.open(0, '127.0.0.1');
    try {
      expect(aids()).toEqual(['an open inspector']);
    } finally {
      inspector.close();
    }
    const listener = () => {};
    process.on('SIGUSR2', listener);
    expect(aids()).toEqual(['something that listens to SIGUSR2']);
    process.off('SIGUSR2', listener);
  });

  it('a text that Node takes for an option is never taken for nothing', () => {
    // The real Node says which texts it unquotes to an option; one it refuses to start with opens nothing.
    const spellings = fc.array(fc.constantFrom('"', '\\', ' ', '-', '-', 'inspect', '=0', '--title=x'), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(spellings, (parts) => {
        const NODE_OPTIONS = parts.join('');
        if (aids({ env: { NODE_OPTIONS } }).length > 0) return;
        const node = spawnSync(process.execPath, ['-p', 'require("inspector").url()'], { env: { NODE_OPTIONS } });
        expect(`${node.stderr}`).not.toContain('Debugger listening');
      }),
      { numRuns: 40 },
    );
  }, 60_000);
});
