// Processes that tests start end together with the tests, even when a test fails before it has cleaned up.
import type { ChildProcess } from 'node:child_process';

const children = new Set<ChildProcess>();

/** Kills the child when this process ends, however it ends. */
export function endWithParent<T extends ChildProcess>(child: T): T {
  if (children.size === 0) install();
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

let installed = false;
function install(): void {
  if (installed) return;
  installed = true;
  process.on('exit', () => {
    for (const child of children) child.kill('SIGKILL');
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => process.exit(1));
}
