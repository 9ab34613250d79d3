import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'

export interface Patience {
  readonly clock: Clock
  readonly signal: AbortSignal
  /** For the whole piece of work, waiting included. */
  readonly timeoutMs: number
}

const POLL_MS_MIN = 1000
const POLL_MS_MAX = 30_000

/** Runs the work under a signal that also ends it, with Fault ACME_TIMEOUT, when its time is up. */
export async function withTimeout<T>(
  { clock, signal, timeoutMs }: Patience,
  what: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const timer = new AbortController()
  const done = new AbortController()
  const both = AbortSignal.any([signal, timer.signal])
  const late = new Fault('ACME_TIMEOUT', `${what} was not ready after ${Math.round(timeoutMs / 1000)} s`)
  clock.sleep(timeoutMs, done.signal).then(
    () => timer.abort(late),
    () => undefined,
  )
  try {
    return await work(both)
  } finally {
    done.abort()
  }
}

/** Looks again until `look` is content: after what the server asked for, or else after 1, 2, 4 … 30 seconds. */
export async function poll<T extends { readonly retryAfterMs?: number }>(
  clock: Clock,
  signal: AbortSignal,
  first: T,
  { isPending, look }: { readonly isPending: (seen: T) => boolean; readonly look: () => Promise<T> },
): Promise<T> {
  let seen = first
  for (let backoffMs = POLL_MS_MIN; isPending(seen); backoffMs = Math.min(backoffMs * 2, POLL_MS_MAX)) {
    await clock.sleep(seen.retryAfterMs ?? backoffMs, signal)
    seen = await look()
  }
  return seen
}
