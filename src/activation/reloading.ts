// Takes the configured folder into use without being asked each time, only where `policy.reload` says so: by default neither a
// signal nor a changed file does, because a nightly signal must not activate what somebody has half edited.
import type { PolicyOnDisk } from '../policy/on-disk.ts';
import type { Activation } from './activation.ts';

export interface Reloading {
  /** The signal for a reload came. */
  signalled(): void;
  close(): void;
}

export interface ReloadingOptions {
  on: readonly ('signal' | 'watch')[];
  onDisk: Pick<PolicyOnDisk, 'check' | 'seen'>;
  activation: Pick<Activation, 'reload'>;
}

/** How often the folder is looked at, in milliseconds. What is the same at two looks is taken as written to its end. */
const LOOK_MS = 1000;

export function reloadPolicy({ on, onDisk, activation }: ReloadingOptions): Reloading {
  const seen = () => JSON.stringify(onDisk.seen());
  let [before, tried] = ['', seen()];
  const look = () => {
    const now = seen();
    const settled = now === before;
    before = now;
    // What was refused is asked again when it has changed.
    if (!settled || now === tried) return;
    tried = now;
    if (onDisk.check().result === 'unchanged') return;
    void activation.reload({ operator: 'watch', reason: 'the policy folder has changed', ip: '' });
  };
  const timer = on.includes('watch') ? setInterval(look, LOOK_MS).unref() : undefined;
  return {
    signalled() {
      if (on.includes('signal') && onDisk.check().result !== 'unchanged')
        void activation.reload({ operator: 'signal', reason: 'SIGHUP', ip: '' });
    },
    close: () => clearInterval(timer),
  };
}
