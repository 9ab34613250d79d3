import { type Fleet, type Report, simulate } from './simulation.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** Budgets have to be as full as they get before an outage begins. */
const WARM_UP_MS = DAY_MS
const WEEKLY_WARM_UP_MS = 8 * DAY_MS
/** Steps of the search for the longest outage that nobody notices: to a 64th of half a lifetime. */
const SEARCH_STEPS = 6
/** The search needs the shape of the fleet, not its size; budgets and pace shrink with it. */
const SEARCH_DEVICES_MAX = 100_000

export interface Forecast {
  readonly year: Report
  readonly outages: readonly OutageForecast[]
  /** The primary may be out as long as this before a router sees an expired certificate; with no backup to help. */
  readonly slackMs: number
}

export interface OutageForecast {
  readonly forMs: number
  readonly withBackups: boolean
  readonly expired: number
  readonly leastLifeLeftMs: number
  /** In the fullest minute after it. */
  readonly peakPerSecond: number
}

/** A year without incident, each outage of the primary alone and with its backups, and how long an outage may last. */
export function forecast(
  fleet: Fleet,
  { days, outagesMs }: { readonly days: number; readonly outagesMs: readonly number[] },
): Forecast {
  const alone = { ...fleet, authorities: fleet.authorities.slice(0, 1) }
  const choices = fleet.authorities.length > 1 ? [alone, fleet] : [alone]
  const outages = outagesMs.flatMap((forMs) =>
    choices.map((each): OutageForecast => {
      const { expired, leastLifeLeftMs, peakPerSecond } = simulateOutage(each, forMs)
      return { forMs, withBackups: each !== alone, expired, leastLifeLeftMs, peakPerSecond }
    }),
  )
  return { year: simulate(fleet, { days }), outages, slackMs: slackOf(alone) }
}

function simulateOutage(fleet: Fleet, forMs: number): Report {
  const isWeekly = fleet.authorities.some(({ limits }) => limits.perDomainPerWeek !== undefined)
  const fromMs = isWeekly ? WEEKLY_WARM_UP_MS : WARM_UP_MS
  // Every router renews once more after it, however long it was.
  const days = Math.ceil((fromMs + forMs + 1.5 * fleet.lifetimeMs) / DAY_MS)
  return simulate(fleet, { days, outage: { fromMs, forMs } })
}

function slackOf(fleet: Fleet): number {
  const share = Math.min(1, SEARCH_DEVICES_MAX / fleet.devices)
  const small = shrunk(fleet, share)
  if (simulate(small, { days: Math.ceil((2 * fleet.lifetimeMs) / DAY_MS) }).expired > 0) return 0
  let [good, bad] = [0, fleet.lifetimeMs / 2]
  for (let step = 0; step < SEARCH_STEPS; step++) {
    const middle = Math.floor((good + bad) / 2 / HOUR_MS) * HOUR_MS || (good + bad) / 2
    if (simulateOutage(small, middle).expired === 0) good = middle
    else bad = middle
  }
  // What is promised has been seen with the whole fleet.
  const stepMs = fleet.lifetimeMs / 2 ** (SEARCH_STEPS + 1)
  while (good > 0 && share < 1 && simulateOutage(fleet, good).expired > 0) good = Math.max(0, good - stepMs)
  return good
}

function shrunk(fleet: Fleet, share: number): Fleet {
  const less = (limit: number | undefined): number | undefined =>
    limit === undefined ? undefined : Math.max(1, Math.floor(limit * share))
  return {
    ...fleet,
    devices: Math.max(1, Math.round(fleet.devices * share)),
    ordersPerMinute: Math.max(1, Math.floor(fleet.ordersPerMinute * share)),
    authorities: fleet.authorities.map(({ name, limits }) => {
      const [ordersPer3h, perDomainPerWeek] = [less(limits.ordersPer3h), less(limits.perDomainPerWeek)]
      return {
        name,
        limits: {
          ...(ordersPer3h === undefined ? {} : { ordersPer3h }),
          ...(perDomainPerWeek === undefined ? {} : { perDomainPerWeek }),
        },
      }
    }),
  }
}
