// The operational log, for the people who run the process: JSON lines on standard error, or short coloured lines
// on a terminal. Calls are recorded in the decision log, not here.
import { MESSAGE } from 'triple-beam';
import winston from 'winston';
import { escapeUnseen, printable } from '../core/printable.ts';

/** The operational log. Each method writes one message with fields; neither may hold a secret. */
export interface OpsLog {
  info(message: string, fields?: Record<string, string | number>): void;
  warn(message: string, fields?: Record<string, string | number>): void;
  error(message: string, fields?: Record<string, string | number>): void;
}

const oneLine = winston.format((entry) => {
  entry[MESSAGE] = escapeUnseen(String(entry[MESSAGE]));
  return entry;
});

/** `level`: the lowest level that is written, as winston names it. `format`: auto is text on a terminal, else JSON. */
export interface OpsLogOptions {
  level?: string;
  format?: 'auto' | 'json' | 'text';
}

/** Creates the log. */
export function createOpsLog({ level = 'info', format: wanted = 'auto' }: OpsLogOptions = {}): OpsLog {
  const { format } = winston;
  const terminal = process.stderr.isTTY === true;
  const colour = terminal && !process.env.NO_COLOR;
  const text = wanted === 'text' || (wanted === 'auto' && terminal);
  const fields = (entry: Record<string, unknown>) =>
    Object.entries(entry)
      .filter(([key]) => !['level', 'message', 'timestamp'].includes(key))
      .map(([key, value]) => ` ${key}=${printable(String(value))}`)
      .join('');
  const logger = winston.createLogger({
    level,
    format: text
      ? format.combine(
          ...(colour ? [format.colorize()] : []),
          format.printf((entry) => `${entry.level}: ${printable(String(entry.message))}${fields(entry)}`),
        )
      : format.combine(format.timestamp(), format.json(), oneLine()),
    transports: [new winston.transports.Console({ stderrLevels: ['error', 'warn', 'info', 'debug'] })],
  });
  return {
    info: (message, extra) => void logger.info(message, extra),
    warn: (message, extra) => void logger.warn(message, extra),
    error: (message, extra) => void logger.error(message, extra),
  };
}
