import type { Clock } from '../../../src/core/clock.ts'
import { createLog } from '../../../src/core/log.ts'
import type { Authority } from '../../../src/operator/authority/authority.ts'
import { type AuthorityPool, authorityPool, type FailOver } from '../../../src/operator/authority/pool.ts'
import { type HealthRow, sharedHealth } from '../../../src/operator/authority/shared-health.ts'
import type { BudgetLimits, BudgetRow } from '../../../src/operator/schedule/budget.ts'
import { sharedBudgets } from '../../../src/operator/schedule/shared-budgets.ts'
import { memoryTable } from '../../../src/store/memory.ts'

/** A pool of these, in order, without budgets. */
export function poolOf(clock: Clock, ...authorities: readonly Authority[]): AuthorityPool {
  return limitedPool(clock, authorities, {})
}

export function limitedPool(
  clock: Clock,
  authorities: readonly Authority[],
  {
    limits = {},
    table = memoryTable<BudgetRow>(),
    health,
    renewalsPerMinuteMax = 1_000_000,
    urgentShare = 0.2,
    onFailOver = () => {},
  }: {
    readonly limits?: Readonly<Record<string, BudgetLimits>>
    readonly table?: ReturnType<typeof memoryTable<BudgetRow>>
    readonly health?: ReturnType<typeof memoryTable<HealthRow>>
    readonly renewalsPerMinuteMax?: number
    readonly urgentShare?: number
    readonly onFailOver?: (failOver: FailOver) => void
  },
): AuthorityPool {
  const log = createLog('silent')
  const ids = authorities.map(({ id }) => id)
  return authorityPool({
    members: authorities.map((authority) => ({
      authority,
      kind: 'acme',
      ...(limits[authority.id]?.replacesExempt ? { replacesExempt: true } : {}),
    })),
    budgets: sharedBudgets({ table, limits: new Map(Object.entries(limits)), urgentShare, clock }),
    ...(health ? { health: sharedHealth({ table: health, authorities: ids, clock, log }) } : {}),
    renewalsPerMinuteMax,
    onFailOver,
    clock,
    log,
  })
}
