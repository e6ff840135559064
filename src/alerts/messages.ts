// What is told of an incident.
import { type Alert, type Message, messageId, occurrenceOf } from './alert.ts';
import type { Incident } from './board/board.ts';

/** Of its first alert. */
export function firstMessage(alert: Alert, { since, mark }: Pick<Incident, 'since' | 'mark'>): Message {
  const occurrence = occurrenceOf(alert.incident, mark);
  return {
    ...{ id: messageId('triggered', occurrence), occurrence, mark },
    ...{ event: 'triggered', at: alert.at, alert, count: 1 },
    ...{ since: isoOf(since), by: null },
  };
}

/** Of what has become of it by `now`. `which`: what tells it from other messages of the kind. */
export function laterMessage(
  event: Exclude<Message['event'], 'triggered' | 'test'>,
  { alert, since, count, mark }: Incident,
  now: number,
  which?: number,
): Message {
  const occurrence = occurrenceOf(alert.incident, mark);
  return {
    ...{ id: messageId(event, occurrence, which), occurrence, mark },
    ...{ event, at: isoOf(now), alert, count },
    ...{ since: isoOf(since), by: null },
  };
}

/** That it is over, where nothing but its first message is known. */
export const endOf = (first: Message, now: number): Message => ({
  ...first,
  ...{ id: messageId('resolved', first.occurrence), event: 'resolved', at: isoOf(now) },
});

const isoOf = (time: number): string => new Date(time).toISOString();
