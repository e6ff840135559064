// A program on this machine. Its arguments stand in the configuration and never change, and no shell is between: what an
// attacker has chosen the name of reaches it on standard input only.
import { runProgram } from '../../audit/chain/run-program.ts';
import { messageOf } from '../../core/errors.ts';
import { payloadOf } from './payload.ts';
import { DeliveryError, type Receiver } from './receiver.ts';

/** Credentials of backends may stand in the environment of this process: they are none of the program's business. */
const plainEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    ['PATH', 'HOME', 'USER', 'LANG', 'LC_ALL', 'TZ'].flatMap((name) =>
      process.env[name] === undefined ? [] : [[name, process.env[name]]],
    ),
  );

export function createCommandReceiver(command: readonly string[], timeoutMs: number, replica: string): Receiver {
  return {
    concurrency: 2,
    async send(message, signal) {
      try {
        await runProgram(command, `${JSON.stringify(payloadOf(message, replica))}\n`, timeoutMs, {
          signal,
          env: plainEnvironment(),
        });
      } catch (thrown) {
        throw new DeliveryError(messageOf(thrown));
      }
    },
    close: async () => {},
  };
}
