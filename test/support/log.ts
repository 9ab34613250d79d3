import { createLog, type Log, type LogLevel } from '../../src/core/log.ts'

/** A log whose lines a test can read. */
export function recordingLog(level: LogLevel = 'info'): {
  readonly log: Log
  readonly lines: Record<string, unknown>[]
} {
  const lines: Record<string, unknown>[] = []
  const log = createLog(level, { write: (line) => void lines.push(JSON.parse(line)) })
  return { log, lines }
}

export const silentLog: Log = createLog('silent')
