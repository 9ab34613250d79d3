import type { Clock } from '../../core/clock.ts'
import { reasonOf } from '../../core/fault.ts'
import { explain, type Log } from '../../core/log.ts'
import { Breaker, type BreakerState } from '../schedule/breaker.ts'
import { type BudgetUse, registeredDomain } from '../schedule/budget.ts'
import { UNPACED } from '../schedule/renewal.ts'
import type { SharedBudgets } from '../schedule/shared-budgets.ts'
import { SlidingCount } from '../schedule/sliding-count.ts'
import { type Authority, ISSUE_MS_MAX } from './authority.ts'
import { type Blame, blameFor, retryAfterOf } from './blame.ts'
import type { SharedHealth } from './shared-health.ts'

export interface PoolMember {
  readonly authority: Authority
  readonly kind: string
  /** Renewals that name what they replace are free at this CA. */
  readonly replacesExempt?: boolean
}

/** Who wants a certificate, as far as the choice of an authority goes. */
export interface PoolRequest {
  /** One per publication: what was reserved for it once is not reserved again. */
  readonly holder: string
  readonly names: readonly string[]
  /** From 0 up to 1, which is a first certificate, or one that has run out: who goes first where there is little room. */
  readonly urgency: number
  /** Authority at which this would be a renewal with `replaces`. */
  readonly renewalAt?: string
  /** Authority that has an order for it already: preferred as long as it is not out. */
  readonly begunAt?: string
  /** Those that refused it. */
  readonly passedOver: readonly string[]
}

/** `budget`: wait, nothing is wrong. `outage`: nobody can be asked. `refused`: everybody has been. */
export type Choice =
  | { readonly kind: 'authority'; readonly authority: Authority }
  | { readonly kind: 'none'; readonly because: 'budget' | 'outage' | 'refused'; readonly untilMs: number }

export interface AuthorityStatus {
  readonly id: string
  readonly kind: string
  readonly state: BreakerState
  readonly sinceMs: number
  readonly lastError?: { readonly atMs: number; readonly reason: string }
  /** By this instance since its start. */
  readonly issued: number
  readonly failed: number
  readonly budgets: readonly BudgetUse[]
}

/** One change of an authority's state: `closed` to `open` is a fail-over, `half-open` to `closed` the end of the way back. */
export interface FailOver {
  readonly atMs: number
  readonly authority: string
  readonly from: BreakerState
  readonly to: BreakerState
  readonly reason?: string
}

export interface AuthorityPool {
  readonly authorities: readonly Authority[]
  find(id: string): Authority | undefined
  /** The first authority that is well and has room, reserved. Every choice ends with `succeeded`, `failed` or `released`. */
  choose(request: PoolRequest): Promise<Choice>
  succeeded(id: string, holder: string): Promise<void>
  failed(id: string, holder: string, error: unknown): Promise<Blame>
  /** The try ended without telling us anything about the authority. */
  released(id: string, holder: string): Promise<void>
  /** For people and metrics: in order of preference. */
  status(): readonly AuthorityStatus[]
  /** The most recent ones, oldest first. */
  failOvers(): readonly FailOver[]
}

const FAIL_OVERS_KEPT_MAX = 100
const REASON_CHARACTERS_MAX = 300
const MINUTE_MS = 60_000
/** Longer than any try, so that a reservation never ends under one that lives. */
export const HOLD_MS = ISSUE_MS_MAX + MINUTE_MS

/** The authorities in order of preference: the backups stand in while the primary is out, has no room, or refuses. */
export function authorityPool(options: {
  readonly members: readonly PoolMember[]
  readonly budgets: SharedBudgets
  /** Given: an authority that another instance found out is left alone here, too. */
  readonly health?: SharedHealth
  /** Renewals that are not urgent, of this instance. However large the backlog after an outage is, it drains at this rate. */
  readonly renewalsPerMinuteMax: number
  /** Called at each change of the state of an authority. */
  readonly onFailOver?: (failOver: FailOver) => void
  readonly clock: Clock
  readonly log: Log
}): AuthorityPool {
  const { budgets, clock, health, log } = options
  const paced = new SlidingCount(MINUTE_MS)
  const failOvers: FailOver[] = []
  const members = options.members.map((member) => ({
    ...member,
    id: member.authority.id,
    breaker: new Breaker(clock.nowMs()),
    issued: 0,
    failed: 0,
    lastError: undefined as { readonly atMs: number; readonly reason: string } | undefined,
  }))
  type Member = (typeof members)[number]
  const memberOf = (id: string): Member | undefined => members.find((member) => member.id === id)

  /** Runs what may change the state of an authority, and says so once. */
  const watched = (member: Member, change: (breaker: Breaker, nowMs: number) => void, reason?: string): void => {
    const nowMs = clock.nowMs()
    const from = member.breaker.state
    change(member.breaker, nowMs)
    const to = member.breaker.state
    if (from === to) return
    const failOver = { atMs: nowMs, authority: member.id, from, to, ...(reason === undefined ? {} : { reason }) }
    failOvers.push(failOver)
    options.onFailOver?.(failOver)
    if (failOvers.length > FAIL_OVERS_KEPT_MAX) failOvers.shift()
    const say = to === 'open' ? 'warn' : 'info'
    log[say]({ authority: member.id, from, to, reason }, 'the state of an authority has changed')
  }

  const inOrder = ({ begunAt, passedOver }: PoolRequest): readonly Member[] => {
    const begun = begunAt === undefined ? undefined : memberOf(begunAt)
    return [...(begun ? [begun] : []), ...members.filter(({ id }) => id !== begunAt && !passedOver.includes(id))]
  }
  const reserve = (member: Member, request: PoolRequest): Promise<number | undefined> => {
    const isFree = member.replacesExempt === true && request.renewalAt === member.id
    const counts = request.begunAt !== member.id && !isFree
    const domain = registeredDomain(request.names[0] ?? '')
    return budgets.reserve(member.id, request.holder, { domain, urgency: request.urgency, counts }, HOLD_MS)
  }

  return {
    authorities: members.map(({ authority }) => authority),
    find: (id) => memberOf(id)?.authority,
    async choose(request) {
      for (const [id, untilMs] of (await health?.heard()) ?? []) {
        const member = memberOf(id)
        if (member)
          watched(member, (breaker, nowMs) => breaker.heardOpen(nowMs, untilMs), 'found out by another instance')
      }
      const nowMs = clock.nowMs()
      const isPaced = request.urgency < UNPACED && request.begunAt === undefined
      if (isPaced && paced.used(nowMs) >= options.renewalsPerMinuteMax)
        return { kind: 'none', because: 'budget', untilMs: paced.nextFreeMs(nowMs) }
      let [outageMs, budgetMs] = [Infinity, Infinity]
      for (const member of inOrder(request)) {
        if (!member.breaker.admits(nowMs)) {
          outageMs = Math.min(outageMs, member.breaker.admitsAtMs(nowMs))
          continue
        }
        // Before anything is awaited: others ask at the same time, and the way back is narrow.
        watched(member, (breaker) => breaker.sent(nowMs))
        const fullUntilMs = await reserve(member, request)
        if (fullUntilMs !== undefined) {
          member.breaker.notSent()
          budgetMs = Math.min(budgetMs, fullUntilMs)
          continue
        }
        if (isPaced) paced.add(nowMs)
        return { kind: 'authority', authority: member.authority }
      }
      const untilMs = Math.min(outageMs, budgetMs)
      const because = budgetMs < Infinity ? 'budget' : outageMs < Infinity ? 'outage' : 'refused'
      return { kind: 'none', because, untilMs: untilMs === Infinity ? nowMs : untilMs }
    },
    async succeeded(id, holder) {
      const member = memberOf(id)!
      member.issued++
      watched(member, (breaker, nowMs) => breaker.succeeded(nowMs))
      await budgets.release(id, holder)
    },
    async failed(id, holder, error) {
      const member = memberOf(id)!
      const blame = blameFor(error)
      const reason = reasonOf(error).slice(0, REASON_CHARACTERS_MAX)
      member.failed++
      member.lastError = { atMs: clock.nowMs(), reason }
      log.warn({ authority: id, blame, ...explain(error) }, 'authority did not issue')
      const retryAfterMs = retryAfterOf(error)
      watched(
        member,
        (breaker, nowMs) => {
          // Who refuses a name, or is not even shown the proof, has answered.
          if (blame === 'order' || blame === 'ours') breaker.succeeded(nowMs)
          else breaker.failed(nowMs, { wide: blame === 'outage', ...(retryAfterMs ? { retryAfterMs } : {}) })
        },
        reason,
      )
      const { openUntilMs } = member.breaker
      if (openUntilMs !== undefined) await health?.opened(id, openUntilMs)
      await budgets.release(id, holder)
      return blame
    },
    released: (id, holder) => budgets.release(id, holder),
    status: () =>
      members.map(({ id, kind, breaker, issued, failed, lastError }) => ({
        id,
        kind,
        state: breaker.state,
        sinceMs: breaker.sinceMs,
        ...(lastError ? { lastError } : {}),
        issued,
        failed,
        budgets: budgets.use(id),
      })),
    failOvers: () => [...failOvers],
  }
}
