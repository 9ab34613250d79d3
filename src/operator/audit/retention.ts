import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import type { Audit } from './audit.ts'

/** Retention is counted in days. */
const EVERY_MS = 3_600_000

/** Removes what is older than the retention time, now and every hour, until the signal says stop. Any number may run. */
export async function keepTrimmed(
  audit: Pick<Audit, 'trim'>,
  retentionMs: number,
  { clock, log, signal }: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  while (!signal.aborted) {
    try {
      while (!signal.aborted && !(await audit.trim(clock.nowMs() - retentionMs)));
    } catch (error) {
      if (!signal.aborted) log.warn(explain(error), 'the audit log could not be trimmed')
    }
    await clock.sleep(EVERY_MS, signal).catch(() => {})
  }
}
