import { type DestinationStream, destination, type Logger, pino } from 'pino'
import { Fault, reasonOf } from './fault.ts'

export type Log = Logger
export const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

/**
 * One JSON line per event on standard error, written synchronously so that nothing is lost at exit.
 * Secrets are kept out by not passing them; redaction by path is no safety net and is not used.
 */
export function createLog(level: LogLevel, to: DestinationStream = destination({ dest: 2, sync: true })): Log {
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    to,
  )
}

/** What a log line says about something thrown: `log.warn(explain(error), 'renewal failed')`. */
export function explain(thrown: unknown): Record<string, unknown> {
  const reason = reasonOf(thrown)
  if (thrown instanceof Fault) return { ...thrown.facts, code: thrown.code, reason, hint: thrown.hint }
  return thrown instanceof Error ? { reason, stack: thrown.stack } : { reason }
}
