// Tells systemd how the process fares (sd_notify(3)), where it wants to know: Type=notify. Node cannot send datagrams to Unix
// sockets, so the program of systemd does it. The unit needs NotifyAccess=all, because another process sends the message.
import { execFile } from 'node:child_process';

/** What can be told. */
export type State = 'ready' | 'stopping';

/** Tells it, and resolves when it was told or could not be. Does nothing where nobody wants to know. */
export function notify(state: State, env: NodeJS.ProcessEnv, onProblem: (problem: string) => void): Promise<void> {
  if (!env.NOTIFY_SOCKET) return Promise.resolve();
  // The option --stopping is newer than the systemd of many machines.
  const args = state === 'ready' ? ['--ready', `--pid=${process.pid}`] : ['STOPPING=1'];
  return new Promise((resolve) => {
    execFile('systemd-notify', args, { env: { ...env }, timeout: 5000 }, (error) => {
      if (error) onProblem(`systemd-notify failed (${error.code ?? error.message}); use Type=exec, or install it`);
      resolve();
    });
  });
}
