import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import { BudgetCount, type BudgetLimits, type BudgetRequest, type BudgetRow, type BudgetUse } from './budget.ts'

/** As many writers of one row as there are instances may collide a few times; more is a store in trouble. */
const COLLISIONS_MAX = 50
/** Orders under way at once that are kept by name: eight for each of a hundred instances. */
const HOLDS_MAX = 1_000

export interface SharedBudgets {
  /** Undefined: reserved for `holder`, who must `release` it. Otherwise when it is worth asking again. Repeating it counts once. */
  reserve(authority: string, holder: string, request: BudgetRequest, holdMs: number): Promise<number | undefined>
  release(authority: string, holder: string): Promise<void>
  /** As last seen by this instance. */
  use(authority: string): readonly BudgetUse[]
}

/** The budgets of all authorities, shared by all instances: a row each, changed by compare-and-swap. */
export function sharedBudgets(options: {
  readonly table: Table<BudgetRow>
  readonly limits: ReadonlyMap<string, BudgetLimits>
  readonly urgentShare: number
  readonly clock: Clock
}): SharedBudgets {
  const { table, clock, urgentShare } = options
  const lastSeen = new Map<string, BudgetRow>()
  const limitsOf = (authority: string): BudgetLimits => options.limits.get(authority) ?? {}
  const isLimited = (authority: string): boolean => {
    const { ordersPer3h, perDomainPerWeek, concurrent } = limitsOf(authority)
    return (ordersPer3h ?? perDomainPerWeek ?? concurrent) !== undefined
  }

  /** `decide` changes the count, or says that nothing is to be written. */
  const change = async (authority: string, decide: (count: BudgetCount, holds: number) => boolean): Promise<void> => {
    for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
      const seen: Stored<BudgetRow> | undefined = await table.find(authority)
      if (seen) lastSeen.set(authority, seen.row)
      const count = new BudgetCount(limitsOf(authority), urgentShare, seen?.row)
      if (!decide(count, Object.keys(seen?.row.holds ?? {}).length)) return
      const next = count.toRow(clock.nowMs())
      const written = seen ? await table.replace(seen, next) : await table.insert(authority, next)
      if (!written) continue
      lastSeen.set(authority, written.row)
      return
    }
    throw new Fault('STORE_UNAVAILABLE', `the budget row of ${authority} is written to without end`)
  }

  return {
    async reserve(authority, holder, request, holdMs) {
      if (!isLimited(authority)) return undefined
      let fullUntilMs: number | undefined
      await change(authority, (count, holds) => {
        const nowMs = clock.nowMs()
        fullUntilMs = undefined
        // A crash after the last reservation: it still stands.
        if (count.holds(holder, nowMs)) return false
        fullUntilMs = count.fullUntilMs(nowMs, request)
        if (fullUntilMs !== undefined) return false
        count.take(nowMs, request, holds < HOLDS_MAX ? holder : undefined, nowMs + holdMs)
        return true
      })
      return fullUntilMs
    },
    async release(authority, holder) {
      if (!isLimited(authority)) return
      await change(authority, (count) => {
        if (!count.holds(holder, clock.nowMs())) return false
        count.release(holder)
        return true
      })
    },
    use: (authority) => new BudgetCount(limitsOf(authority), urgentShare, lastSeen.get(authority)).use(clock.nowMs()),
  }
}
