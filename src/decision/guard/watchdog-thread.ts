// The thread that ends a held process. It has its own event loop, so it runs while a rule holds that of the process; nothing
// else in the process can: signals wait for the loop as well. It counts its own ticks and not the time, so that a process
// that was put aside as a whole is not taken for one that is held.
import { parentPort, workerData } from 'node:worker_threads';
import { readDeaths, writeDeaths } from './deaths.ts';
import type { PolicyName, Watched } from './watchdog.ts';

const { shared, tools, file, tickMs, ticks } = workerData as Watched;
const policies: PolicyName[] = [];
let [seen, same] = [0, 0];

parentPort?.on('message', (policy: PolicyName) => {
  policies.push(policy);
});

setInterval(() => {
  const now = Atomics.load(shared, 0);
  same = now === seen && (now & 1) === 1 ? same + 1 : 0;
  seen = now;
  // A process with the number 1 is not ended by a signal of its own; once is written once.
  if (same !== ticks) return;
  const tool = tools[Atomics.load(shared, 1)] ?? '';
  try {
    const at = new Date().toISOString();
    const policy = policies[Atomics.load(shared, 2)] ?? { revision: '', wasm_sha256: '' };
    writeDeaths(file, [...readDeaths(file).deaths, { at, ...policy, tool, recorded: false }]);
  } finally {
    // Neither exit nor abort ends the process from a thread.
    process.kill(process.pid, 'SIGKILL');
  }
}, tickMs);
