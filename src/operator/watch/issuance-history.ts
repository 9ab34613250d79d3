import type { Clock } from '../../core/clock.ts'

/** A step of the picture, and how many of them are kept: two days. */
export const STEP_MS = 1_800_000
export const STEPS_MAX = 96

export interface HistoryStep {
  readonly startMs: number
  readonly issued: number
  readonly failed: number
}

/** What this instance has issued of late, in a ring that never grows. */
export interface IssuanceHistory {
  count(what: 'issued' | 'failed'): void
  /** Oldest first, STEPS_MAX of them; the last one is not over yet. */
  steps(): readonly HistoryStep[]
}

export function issuanceHistory(clock: Clock): IssuanceHistory {
  const ring = Array.from({ length: STEPS_MAX }, () => ({ number: -1, issued: 0, failed: 0 }))
  const numberNow = (): number => Math.floor(clock.nowMs() / STEP_MS)
  return {
    count(what) {
      const number = numberNow()
      const place = number % STEPS_MAX
      if (ring[place]!.number !== number) ring[place] = { number, issued: 0, failed: 0 }
      ring[place]![what]++
    },
    steps() {
      const first = numberNow() - STEPS_MAX + 1
      return Array.from({ length: STEPS_MAX }, (_, index) => {
        const number = first + index
        const found = ring[number % STEPS_MAX]!
        const { issued, failed } = found.number === number ? found : { issued: 0, failed: 0 }
        return { startMs: number * STEP_MS, issued, failed }
      })
    },
  }
}
