import type { Clock } from '../core/clock.ts'
import { explain, type Log } from '../core/log.ts'
import type { Jobs } from '../core/table.ts'
import type { Publisher } from './publisher.ts'

/** A worker that dies gives its jobs back after this; one that lives extends its leases in time. */
const LEASE_MS = 20_000
const EXTEND_EVERY_MS = 5_000
/** Steps under way at once in one instance: a CA limits concurrent orders long before we do. */
export const PARALLEL_MAX = 8
const IDLE_MS = 1_000

/**
 * Takes due jobs and works them off until the signal says stop; then finishes what it has begun. Any number may run, in
 * one process or many: the job table hands each job to one of them. `nudge` ends an idle wait at once.
 */
export function createWorker(options: {
  readonly jobs: Jobs
  readonly publisher: Publisher
  readonly clock: Clock
  readonly log: Log
}): { run(signal: AbortSignal): Promise<void>; nudge(): void } {
  const { jobs, publisher, clock, log } = options
  let wake = new AbortController()

  const idle = async (): Promise<void> => {
    await clock.sleep(IDLE_MS, wake.signal).catch(() => {})
    if (wake.signal.aborted) wake = new AbortController()
  }
  /** Extends the lease until `done`; calls `lost` when it may have ended, because another worker may begin then. */
  const keepLease = async (job: string, done: AbortSignal, lost: () => void): Promise<void> => {
    let untilMs = clock.monotonicMs() + LEASE_MS
    while (!done.aborted) {
      await clock.sleep(EXTEND_EVERY_MS, done).catch(() => {})
      if (done.aborted) return
      if (clock.monotonicMs() >= untilMs) return lost()
      const beganMs = clock.monotonicMs()
      await jobs.extend(job, clock.nowMs(), LEASE_MS).then(
        () => (untilMs = beganMs + LEASE_MS),
        () => undefined,
      )
    }
  }
  return {
    nudge: () => wake.abort(),
    async run(signal) {
      signal.addEventListener('abort', () => wake.abort(), { once: true })
      const underWay = new Set<Promise<void>>()
      while (!signal.aborted) {
        const room = PARALLEL_MAX - underWay.size
        const taken = room === 0 ? [] : await takeJobs(jobs, clock, log, room)
        for (const job of taken) {
          const [done, lost] = [new AbortController(), new AbortController()]
          void keepLease(job, done.signal, () => lost.abort(new Error('the lease of this job has ended')))
          const step = publisher
            .work(job, AbortSignal.any([signal, lost.signal]))
            .catch((error: unknown) => log.error(explain(error), 'a job failed by a bug of ours'))
            .finally(() => {
              done.abort()
              underWay.delete(step)
              wake.abort()
            })
          underWay.add(step)
        }
        if (taken.length === 0) await idle()
      }
      await Promise.all(underWay)
    },
  }
}

/** A store that is away for a moment stops no worker. */
async function takeJobs(jobs: Jobs, clock: Clock, log: Log, limit: number): Promise<readonly string[]> {
  try {
    return await jobs.take(clock.nowMs(), LEASE_MS, limit)
  } catch (error) {
    log.error(explain(error), 'no jobs could be taken from the store')
    return []
  }
}
