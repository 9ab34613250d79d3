import { latestDue, publishAtMs, window } from '../../acme/star.ts'
import { seededRandom } from '../../core/seeded-random.ts'
import { HOLD_MS } from '../authority/pool.ts'
import { Breaker } from '../schedule/breaker.ts'
import { BudgetCount, type BudgetRequest, type BudgetUse, ORDERS_WINDOW_MS } from '../schedule/budget.ts'
import { retryAfterMs, UNPACED, urgencyOf, waitMs } from '../schedule/renewal.ts'
import { SLICES, SlidingCount } from '../schedule/sliding-count.ts'
import { type Fleet, parallelMax, populate, START_MS } from './fleet.ts'
import { Queue } from './queue.ts'
import { Wheel } from './wheel.ts'

export interface Course {
  readonly days: number
  /** Of the first authority. */
  readonly outage?: { readonly fromMs: number; readonly forMs: number }
}

export interface Report {
  readonly orders: number
  readonly meanPerSecond: number
  /** In the fullest minute. */
  readonly peakPerSecond: number
  /** Issuances under way at once. */
  readonly underWay: { readonly mean: number; readonly peak: number; readonly max: number }
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
const MINUTE_MS = 60_000
/** Renewals become due in whole seconds; what is under way ends at any millisecond. */
const TICK_MS = 1_000
/** Within a slice counts only grow, so a look at the end of each finds every peak. */
const LOOK_EVERY_MS = ORDERS_WINDOW_MS / SLICES
const DOMAIN = 'fleet.example'

/**
 * The renewals of a whole fleet on a virtual clock, with the very code that runs in the service: STAR dates, spreading,
 * urgency, waiting, budgets and circuit breakers. Workers take what is due longest first, as the job table gives it out. A
 * try that meets the outage fails after as long as an issuance takes, and the next authority is asked at once.
 */
export function simulate(fleet: Fleet, course: Course, population = populate(fleet)): Report {
  const { devices, lifetimeMs, issuanceMs } = fleet
  const random = seededRandom(2)
  const lastTick = Math.floor((course.days * DAY_MS) / TICK_MS)
  const tickAt = (ms: number): number => Math.ceil((ms - START_MS) / TICK_MS)

  const notAfterMs = new Float64Array(devices)
  const failures = new Uint8Array(devices)
  const hadExpired = new Uint8Array(devices)
  /** Index of the authority that issued its certificate; and of the one that is being asked. */
  const issuer = new Uint8Array(devices)
  const asked = new Uint8Array(devices)
  const wheel = new Wheel(devices, Math.ceil(lifetimeMs / TICK_MS) + 2)
  for (let device = 0; device < devices; device++) {
    const plan = population.planOf(device)
    const index = latestDue(plan, START_MS)!
    notAfterMs[device] = window(plan, index).notAfterMs
    wheel.add(device, tickAt(publishAtMs(plan, index + 1)))
  }

  const authorities = fleet.authorities.map(({ name, limits }) => ({
    name,
    limits,
    breaker: new Breaker(START_MS),
    budget: new BudgetCount(limits, fleet.urgentShare),
    orders: 0,
    underWay: 0,
    underWayPeak: 0,
    peaks: [] as readonly BudgetUse[],
  }))
  const ordersPerMinute = fleet.ordersPerMinute * fleet.instances
  const paced = new SlidingCount(MINUTE_MS)
  /** One object, written over for every order. */
  const request: { -readonly [K in keyof BudgetRequest]: BudgetRequest[K] } = {
    domain: DOMAIN,
    urgency: 0,
    counts: true,
  }
  const downFromMs = START_MS + (course.outage?.fromMs ?? Infinity)
  const downUntilMs = downFromMs + (course.outage?.forMs ?? 0)

  const due = new Queue(devices)
  const workers = parallelMax(fleet)
  /** Whom workers are busy with, and when each began. All take equally long, so the first to begin is the first to end. */
  const busyWith = new Queue(workers)
  const busySince = new Queue(workers)
  let [orders, tries, ofMinute, fullestMinute, busyPeak, expired, leastLifeLeftMs] = [0, 0, 0, 0, 0, 0, Infinity]

  /** As `AuthorityPool.choose` does. Undefined: reserved at one. Otherwise when there is room again; Infinity: nobody is well. */
  const choose = (device: number, nowMs: number, isPaced: boolean): number | undefined => {
    if (isPaced && paced.used(nowMs) >= ordersPerMinute) return paced.nextFreeMs(nowMs)
    let roomAtMs = Infinity
    for (let at = 0; at < authorities.length; at++) {
      const { breaker, budget, limits } = authorities[at]!
      if (!breaker.admits(nowMs)) continue
      breaker.sent(nowMs)
      request.counts = !(limits.replacesExempt === true && issuer[device] === at)
      const fullUntilMs = budget.fullUntilMs(nowMs, request)
      if (fullUntilMs !== undefined) {
        breaker.notSent()
        roomAtMs = Math.min(roomAtMs, fullUntilMs)
        continue
      }
      if (limits.concurrent === undefined) budget.take(nowMs, request)
      else budget.take(nowMs, request, String(device), nowMs + HOLD_MS)
      if (isPaced) paced.add(nowMs)
      asked[device] = at
      return undefined
    }
    return roomAtMs
  }

  /** A worker takes it up, or it is put off. */
  const begin = (device: number, nowMs: number, isPaced: boolean): void => {
    tries++
    const lifeLeftMs = notAfterMs[device]! - nowMs
    request.urgency = urgencyOf(lifeLeftMs, lifetimeMs)
    const roomAtMs = choose(device, nowMs, isPaced && request.urgency < UNPACED)
    if (roomAtMs !== undefined) return putOff(device, nowMs, roomAtMs)
    busyWith.add(device)
    busySince.add(nowMs)
    busyPeak = Math.max(busyPeak, busyWith.size)
    const authority = authorities[asked[device]!]!
    authority.underWayPeak = Math.max(authority.underWayPeak, ++authority.underWay)
  }

  const putOff = (device: number, nowMs: number, roomAtMs: number): void => {
    const leftMs = Math.max(0, notAfterMs[device]! - nowMs)
    let delayMs: number
    if (roomAtMs === Infinity) {
      failures[device] = Math.min(failures[device]! + 1, 255)
      delayMs = retryAfterMs(failures[device], leftMs, random())
    } else delayMs = waitMs(roomAtMs - nowMs, leftMs, random())
    wheel.add(device, Math.max(tick + 1, tickAt(nowMs + delayMs)))
  }

  const end = (nowMs: number): void => {
    const device = busyWith.take()
    const sinceMs = busySince.take()
    const at = asked[device]!
    const authority = authorities[at]!
    authority.underWay--
    if (authority.limits.concurrent !== undefined) authority.budget.release(String(device))
    if (at === 0 && nowMs >= downFromMs && sinceMs < downUntilMs) {
      authority.breaker.failed(nowMs, { wide: true })
      return begin(device, nowMs, false)
    }
    authority.breaker.succeeded(nowMs)
    authority.orders++
    ofMinute++
    orders++
    failures[device] = 0
    issuer[device] = at
    noteLifeLeft(device, nowMs)
    const plan = population.planOf(device)
    const index = latestDue(plan, sinceMs)!
    notAfterMs[device] = window(plan, index).notAfterMs
    wheel.add(device, Math.max(tick + 1, tickAt(publishAtMs(plan, index + 1))))
  }

  const noteLifeLeft = (device: number, nowMs: number): void => {
    const lifeLeftMs = notAfterMs[device]! - nowMs
    if (lifeLeftMs < leastLifeLeftMs) leastLifeLeftMs = lifeLeftMs
    if (lifeLeftMs > 0 || hadExpired[device] === 1) return
    hadExpired[device] = 1
    expired++
  }

  /** All that begins and ends from `nowMs` on, before `untilMs`. */
  const work = (fromMs: number, untilMs: number): void => {
    let nowMs = fromMs
    for (;;) {
      const endsMs = busyWith.size === 0 ? Infinity : busySince.first + issuanceMs
      // What ends at this very moment makes room first.
      if (due.size > 0 && busyWith.size < workers && endsMs > nowMs) begin(due.take(), nowMs, true)
      else if (endsMs < untilMs) {
        nowMs = Math.max(nowMs, endsMs)
        end(nowMs)
      } else return
    }
  }

  const look = (nowMs: number): void => {
    for (const authority of authorities) authority.peaks = fullest(authority.peaks, authority.budget.use(nowMs))
  }

  const becomeDue = (device: number): void => due.add(device)
  let tick = 0
  for (; tick <= lastTick; tick++) {
    const nowMs = START_MS + tick * TICK_MS
    if (nowMs % MINUTE_MS === 0) {
      fullestMinute = Math.max(fullestMinute, ofMinute)
      ofMinute = 0
      if (nowMs % LOOK_EVERY_MS === 0) look(nowMs - 1)
    }
    wheel.take(tick, becomeDue)
    work(nowMs, nowMs + TICK_MS)
  }
  const endMs = START_MS + tick * TICK_MS
  look(endMs)
  // Those that still wait have no new certificate.
  for (let device = 0; device < devices; device++) if (notAfterMs[device]! <= endMs) noteLifeLeft(device, endMs)

  const seconds = course.days * 86_400
  return {
    orders,
    meanPerSecond: orders / seconds,
    peakPerSecond: (Math.max(fullestMinute, ofMinute) * 1000) / MINUTE_MS,
    underWay: { mean: (orders * issuanceMs) / 1000 / seconds, peak: busyPeak, max: workers },
    authorities: authorities.map(({ name, orders: own, peaks, underWayPeak }) => ({
      name,
      orders: own,
      // What counts at this moment only is over before anybody looks.
      peaks: peaks.map((use) => (use.windowMs === undefined ? { ...use, used: underWayPeak } : use)),
    })),
    expired,
    leastLifeLeftMs,
    tries,
  }
}

function fullest(peaks: readonly BudgetUse[], now: readonly BudgetUse[]): BudgetUse[] {
  return now.map((use, index) => ({ ...use, used: Math.max(use.used, peaks[index]?.used ?? 0) }))
}
