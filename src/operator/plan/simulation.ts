import { latestDue, publishAtMs, type StarPlan, starPlan, window } from '../../acme/star.ts'
import { Breaker } from '../schedule/breaker.ts'
import { BudgetCount, type BudgetLimits, type BudgetRequest, type BudgetUse } from '../schedule/budget.ts'
import { retryAfterMs, spreadFraction, UNPACED, urgencyOf, waitMs } from '../schedule/renewal.ts'
import { SlidingCount } from '../schedule/sliding-count.ts'
import { Wheel } from './wheel.ts'

/** A fleet of routers that all have a certificate, at evenly spread moments of its life. */
export interface Fleet {
  readonly devices: number
  /** Nominal, as routers ask for it. */
  readonly lifetimeMs: number
  readonly authorities: readonly { readonly name: string; readonly limits: BudgetLimits }[]
  readonly spread: number
  readonly urgentShare: number
  readonly ordersPerMinute: number
}

export interface Course {
  readonly days: number
  /** Of the first authority. */
  readonly outage?: { readonly fromMs: number; readonly forMs: number }
}

export interface Report {
  readonly orders: number
  readonly meanPerSecond: number
  /** In the fullest tick. */
  readonly peakPerSecond: number
  readonly tickMs: number
  readonly authorities: readonly {
    readonly name: string
    readonly orders: number
    /** Each budget at its fullest. */
    readonly peaks: readonly BudgetUse[]
  }[]
  /** Routers that would at any moment have had nothing but an expired certificate. */
  readonly expired: number
  /** Of the certificate that came closest to its end before it was renewed; negative: so long after its end. */
  readonly leastLifeLeftMs: number
  readonly tries: number
}

const DAY_MS = 86_400_000
const TICK_MS_MAX = 60_000
/** A lifetime has at least this many ticks. */
const TICKS_OF_LIFE = 2_000
/** Long enough after 1970 for every window to be empty at first. */
const START_MS = Date.UTC(2027, 0, 1)

/**
 * The renewals of a whole fleet on a virtual clock, tick by tick, with the very code that runs in the service: STAR dates,
 * spreading, urgency, waiting, budgets and circuit breakers. Issuance itself takes no time here.
 */
export function simulate(fleet: Fleet, course: Course): Report {
  const { devices, lifetimeMs } = fleet
  const tickMs = Math.max(1_000, Math.min(TICK_MS_MAX, Math.floor(lifetimeMs / TICKS_OF_LIFE)))
  const lastTick = Math.floor((course.days * DAY_MS) / tickMs)
  const tickAt = (ms: number): number => Math.ceil((ms - START_MS) / tickMs)
  const random = randomNumbers(1)

  const plan = startedPlans(fleet, random)
  const notAfterMs = new Float64Array(devices)
  const failures = new Uint8Array(devices)
  const hadExpired = new Uint8Array(devices)
  const wheel = new Wheel(devices, Math.ceil(lifetimeMs / tickMs) + 2)
  for (let device = 0; device < devices; device++) {
    const index = latestDue(plan.of(device), START_MS)!
    notAfterMs[device] = window(plan.of(device), index).notAfterMs
    wheel.add(device, tickAt(publishAtMs(plan.of(device), index + 1)))
  }

  const authorities = fleet.authorities.map(({ name, limits }) => ({
    name,
    breaker: new Breaker(START_MS),
    budget: new BudgetCount(limits, fleet.urgentShare),
    orders: 0,
    peaks: [] as BudgetUse[],
  }))
  const paced = new SlidingCount(60_000)
  /** One object, written over for every order. */
  const request = { domain: 'fleet.example', urgency: 0, counts: true } satisfies BudgetRequest
  const downFromMs = START_MS + (course.outage?.fromMs ?? Infinity)
  const downUntilMs = downFromMs + (course.outage?.forMs ?? 0)

  let [orders, tries, peak, ofTick, expired, leastLifeLeftMs] = [0, 0, 0, 0, 0, Infinity]
  let nowMs = START_MS
  let tick = 0

  /** As `AuthorityPool.choose` and the publisher do: 0 for issued, or when there is room again, or Infinity for a failure. */
  const order = (urgency: number): number => {
    const isPaced = urgency < UNPACED
    if (isPaced && paced.used(nowMs) >= fleet.ordersPerMinute) return paced.nextFreeMs(nowMs)
    request.urgency = urgency
    let roomAtMs = Infinity
    for (let at = 0; at < authorities.length; at++) {
      const { breaker, budget } = authorities[at]!
      if (!breaker.admits(nowMs)) continue
      breaker.sent(nowMs)
      const fullUntilMs = budget.fullUntilMs(nowMs, request)
      if (fullUntilMs !== undefined) {
        breaker.notSent()
        roomAtMs = Math.min(roomAtMs, fullUntilMs)
        continue
      }
      budget.take(nowMs, request)
      if (at === 0 && nowMs >= downFromMs && nowMs < downUntilMs) {
        breaker.failed(nowMs, { wide: true })
        continue
      }
      breaker.succeeded(nowMs)
      if (isPaced) paced.add(nowMs)
      authorities[at]!.orders++
      return 0
    }
    return roomAtMs
  }

  const renew = (device: number): void => {
    tries++
    const lifeLeftMs = notAfterMs[device]! - nowMs
    if (lifeLeftMs < leastLifeLeftMs) leastLifeLeftMs = lifeLeftMs
    if (lifeLeftMs <= 0 && hadExpired[device] === 0) {
      hadExpired[device] = 1
      expired++
    }
    const outcome = order(urgencyOf(lifeLeftMs, lifetimeMs))
    if (outcome === 0) {
      ofTick++
      failures[device] = 0
      const own = plan.of(device)
      const index = latestDue(own, nowMs)!
      notAfterMs[device] = window(own, index).notAfterMs
      return wheel.add(device, Math.max(tick + 1, tickAt(publishAtMs(own, index + 1))))
    }
    const leftMs = Math.max(0, lifeLeftMs)
    let delayMs: number
    if (outcome === Infinity) {
      failures[device] = Math.min(failures[device]! + 1, 255)
      delayMs = retryAfterMs(failures[device], leftMs, random())
    } else delayMs = waitMs(outcome - nowMs, leftMs, random())
    wheel.add(device, Math.max(tick + 1, tickAt(nowMs + delayMs)))
  }

  for (; tick <= lastTick; tick++) {
    nowMs = START_MS + tick * tickMs
    ofTick = 0
    wheel.take(tick, renew)
    orders += ofTick
    peak = Math.max(peak, ofTick)
    if (ofTick === 0) continue
    for (const authority of authorities) authority.peaks = fullest(authority.peaks, authority.budget.use(nowMs))
  }
  const seconds = course.days * 86_400
  return {
    orders,
    meanPerSecond: orders / seconds,
    peakPerSecond: (peak * 1000) / tickMs,
    tickMs,
    authorities: authorities.map(({ name, orders: own, peaks }) => ({ name, orders: own, peaks })),
    expired,
    leastLifeLeftMs,
    tries,
  }
}

/** The plan of any device, in one object that is written over: fifty million would be garbage. */
function startedPlans({ devices, lifetimeMs, spread }: Fleet, random: () => number): { of(device: number): StarPlan } {
  const startMs = new Float64Array(devices)
  const adjustMs = new Float64Array(devices)
  const lifetimeS = Math.ceil(lifetimeMs / 1000)
  const forever = { startMs: START_MS - 3 * lifetimeMs, endMs: START_MS + 100 * 366 * DAY_MS }
  for (let device = 0; device < devices; device++) {
    const fraction = spreadFraction(`device ${device}`, spread)
    adjustMs[device] = starPlan({ ...forever, lifetimeS, lifetimeAdjustS: 0, fraction }).adjustMs
    // In order of the moments they renew at, so that those due together lie together in memory: four times as fast.
    startMs[device] = START_MS + ((device + random()) / devices - 2) * lifetimeMs + adjustMs[device]!
  }
  const shared: { -readonly [K in keyof StarPlan]: StarPlan[K] } = starPlan({
    ...forever,
    lifetimeS,
    lifetimeAdjustS: 0,
  })
  return {
    of(device) {
      shared.startMs = startMs[device]!
      shared.adjustMs = adjustMs[device]!
      return shared
    },
  }
}

function fullest(peaks: readonly BudgetUse[], now: readonly BudgetUse[]): BudgetUse[] {
  return now.map((use, index) => ({ ...use, used: Math.max(use.used, peaks[index]?.used ?? 0) }))
}

/** Seeded (mulberry32): the same fleet gives the same report. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
