import { PROBE_AFTER_MS_MAX } from '../schedule/breaker.ts'
import { type Fleet, type Population, populate } from './fleet.ts'
import { type Report, simulate } from './simulation.ts'

const DAY_MS = 86_400_000
/** Budgets have to be as full as they get before an outage begins. */
const WARM_UP_MS = DAY_MS
const WEEKLY_WARM_UP_MS = 8 * DAY_MS
/** How finely the longest outage that nobody notices is found. */
const SLACK_STEPS_OF_LIFE = 128

export interface Forecast {
  readonly year: Report
  readonly outages: readonly OutageForecast[]
  /**
   * The primary may be out for as long as this, with no backup to help, and no router sees an expired certificate. Found
   * by simulating such outages of the whole fleet.
   */
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
  const population = populate(fleet)
  const alone = { ...fleet, authorities: fleet.authorities.slice(0, 1) }
  const choices = fleet.authorities.length > 1 ? [alone, fleet] : [alone]
  const outages = outagesMs.flatMap((forMs) =>
    choices.map((each): OutageForecast => {
      const { expired, leastLifeLeftMs, peakPerSecond } = simulateOutage(each, population, forMs)
      return { forMs, withBackups: each !== alone, expired, leastLifeLeftMs, peakPerSecond }
    }),
  )
  const seen = outages.filter(({ withBackups }) => !withBackups)
  return { year: simulate(fleet, { days }, population), outages, slackMs: slackOf(alone, population, seen) }
}

function simulateOutage(fleet: Fleet, population: Population, forMs: number): Report {
  const isWeekly = fleet.authorities.some(({ limits }) => limits.perDomainPerWeek !== undefined)
  const fromMs = isWeekly ? WEEKLY_WARM_UP_MS : WARM_UP_MS
  // Every router renews once more after it, however long it was.
  const days = Math.ceil((fromMs + forMs + 1.5 * fleet.lifetimeMs) / DAY_MS)
  return simulate(fleet, { days, outage: { fromMs, forMs } }, population)
}

/** By halving what lies between outages that have been seen to be harmless and those that have not. */
function slackOf(alone: Fleet, population: Population, seen: readonly OutageForecast[]): number {
  const expiredAfter = (forMs: number): number => simulateOutage(alone, population, forMs).expired
  const harmful = seen.filter(({ expired }) => expired > 0).map(({ forMs }) => forMs)
  // Renewals begin at halfway at the latest, so nobody is sure of more.
  let bad = Math.min(alone.lifetimeMs / 2, ...harmful)
  const harmless = seen.map(({ forMs }) => forMs).filter((forMs) => forMs < bad)
  let good = Math.max(0, ...harmless)
  if (good === 0 && expiredAfter(0) > 0) return 0
  const stepMs = alone.lifetimeMs / SLACK_STEPS_OF_LIFE
  while (bad - good > stepMs) {
    const middle = (good + bad) / 2
    if (expiredAfter(middle) === 0) good = middle
    else bad = middle
  }
  // One that begins at another moment may end just after a probe, and those who waited may come back in another order.
  return Math.max(0, good - stepMs - PROBE_AFTER_MS_MAX)
}
