import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import type { Stored } from '../../core/table.ts'
import type { DeviceRow } from '../delegation/device.ts'
import type { DeviceRegistry } from '../delegation/devices.ts'
import { type DeviceStanding, STANDINGS, type Standing } from '../delegation/standing.ts'

/** `expiring` are those of `valid` whose certificate should have been renewed by now. */
export interface FleetCounts extends Readonly<Record<Standing, number>> {
  readonly expiring: number
}

export interface FleetReport {
  readonly counts: FleetCounts
  /** Certificates by the time that is left to them: how many end within `withinMs`, and not within the one before. */
  readonly ends: readonly { readonly withinMs: number; readonly count: number }[]
  /** When the count began and when it was complete. */
  readonly fromMs: number
  readonly untilMs: number
}

export interface FleetCensus {
  /** The last complete count; undefined before the first. */
  report(): FleetReport | undefined
  /** Counts, rests, counts again, until the signal says stop. */
  run(signal: AbortSignal): Promise<void>
}

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/** Classes of the picture of expiry. */
export const END_CLASSES_MS = [1, 2, 3, 4, 5, 6, 7, 10, 14, 21, 30, 60, 90].map((days) => days * DAY_MS)
const PAGE = 200
/** For each millisecond of counting, this many of rest: the count takes a tenth of one connection to the store, never more. */
const REST_FACTOR = 9
/** Between two counts. A fleet of millions takes hours for one, and rests as long. */
const APART_MS_MIN = 30_000

/**
 * Counts the fleet in the background, a page at a time, because nobody who looks at a page or collects metrics may cause a
 * walk over ten million rows.
 */
export function fleetCensus(options: {
  readonly registry: Pick<DeviceRegistry, 'list'>
  readonly standing: (device: Stored<DeviceRow>) => Promise<DeviceStanding>
  /** A certificate with less than this left is late: whoever renews in time has more. */
  readonly expiringMs: number
  readonly clock: Clock
  readonly log: Log
}): FleetCensus {
  const { registry, standing, expiringMs, clock, log } = options
  let last: FleetReport | undefined

  const count = async (signal: AbortSignal): Promise<FleetReport> => {
    const fromMs = clock.nowMs()
    const states = Object.fromEntries(STANDINGS.map((state) => [state, 0])) as Record<Standing, number>
    const ends = [...END_CLASSES_MS, Number.MAX_SAFE_INTEGER].map((withinMs) => ({ withinMs, count: 0 }))
    let expiring = 0
    let after: string | undefined
    for (;;) {
      const startMs = clock.monotonicMs()
      const page = await registry.list({ limit: PAGE, ...(after === undefined ? {} : { after }) })
      for (const device of page) {
        const { state, validUntilMs } = await standing(device)
        states[state]++
        if (state !== 'valid') continue
        const leftMs = validUntilMs! - clock.nowMs()
        if (leftMs < expiringMs) expiring++
        ends.find(({ withinMs }) => leftMs <= withinMs)!.count++
      }
      if (page.length < PAGE) return { counts: { ...states, expiring }, ends, fromMs, untilMs: clock.nowMs() }
      after = page.at(-1)!.id
      await clock.sleep((clock.monotonicMs() - startMs) * REST_FACTOR, signal)
    }
  }

  return {
    report: () => last,
    async run(signal) {
      while (!signal.aborted) {
        const startMs = clock.monotonicMs()
        try {
          last = await count(signal)
        } catch (error) {
          if (!signal.aborted) log.warn(explain(error), 'the fleet could not be counted')
        }
        await clock.sleep(Math.max(APART_MS_MIN, clock.monotonicMs() - startMs), signal).catch(() => {})
      }
    },
  }
}
