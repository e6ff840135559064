// A thread that decides parts of logs again, one after the other, until it is ended.
import { parentPort, workerData } from 'node:worker_threads';
import { messageOf } from '../../core/errors.ts';
import { type Part, readPart } from '../../formats/lines/part.ts';
import type { Said } from '../../formats/lines/threads.ts';
import { Replayer, type Replaying } from './replayer.ts';
import type { Tally } from './tally.ts';

const say = (said: Said<Tally>): void => parentPort?.postMessage(said);
let replayer: Replayer | undefined;

async function replay(part: Part): Promise<Said<Tally>> {
  replayer ??= new Replayer(workerData as Replaying);
  const of = replayer;
  const problem = await readPart(
    part,
    (block) => of.feed(block),
    (bytes) => say({ bytes }),
  );
  const found = of.end();
  return problem === undefined ? { found } : { failed: problem };
}

parentPort?.on('message', (part: Part) => {
  replay(part).then(say, (thrown: unknown) => say({ failed: messageOf(thrown) }));
});
