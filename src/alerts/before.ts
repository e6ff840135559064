// What was open before this process. Another replica may have told that an incident is over whose first alert still waited here:
// then its end follows. A state that is not found again was mended while nobody looked.
import { type Message, occurrenceOf } from './alert.ts';
import type { AlertBoard } from './board/board.ts';
import { endOf } from './messages.ts';
import type { Spooled } from './spool/spool.ts';

export interface BeforeOptions {
  board: () => AlertBoard;
  /** Names the spool of this process. */
  id: string;
  /** What stood in it at the start. */
  spooled: readonly Spooled[];
  /** How long after the start a state may be found again, in milliseconds. */
  unseenMs: number;
  now: () => number;
  /** Whether an incident was raised since the start. */
  seen: (incident: string) => boolean;
  tell: (message: Message) => void;
  /** A state is over. */
  onOver: (incident: string) => void;
}

/** Makes the comparison, which is to be repeated until it answers true: then everything is known. Never rejects. */
export function createBefore(options: BeforeOptions): () => Promise<boolean> {
  const { board, id, unseenMs, now, seen, tell, onOver } = options;
  const until = performance.now() + unseenMs;
  let { spooled } = options;
  return async () => {
    const open = await board()
      .list()
      .catch(() => undefined);
    // The store is away: nobody knows yet.
    if (!open) return false;
    const occurrences = new Set(open.map(({ alert, mark }) => occurrenceOf(alert.incident, mark)));
    for (const { message } of spooled)
      if (message.event === 'triggered' && !occurrences.has(message.occurrence)) tell(endOf(message, now()));
    spooled = [];
    if (performance.now() < until) return false;
    for (const { alert, by } of open)
      if (alert.lasts && !alert.by_use && by === id && !seen(alert.incident)) onOver(alert.incident);
    return true;
  };
}
