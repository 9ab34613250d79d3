import type { AcmeProblem } from '../../acme/problem.ts'
import type { AcmeDecision } from '../../acme/server/decision.ts'
import type { Clock } from '../../core/clock.ts'
import type { Audit } from './audit.ts'
import type { AuditEventName } from './entry.ts'

/** A router that asks wrongly asks again; the first refusals say it all, and an attacker must not fill the log. */
const REFUSALS_MAX = 20
const WINDOW_MS = 3_600_000
/** A megabyte or two. When more accounts are refused, the one that began first is forgotten. */
const ACCOUNTS_MAX = 10_000
const REASON_CHARS_MAX = 500

/** Puts on record what accounts decided over ACME, and what they were refused, a bounded number of times an hour each. */
export function acmeRecord({
  audit,
  clock,
}: {
  readonly audit: Pick<Audit, 'record'>
  readonly clock: Clock
}): (decision: AcmeDecision) => Promise<void> {
  const refusals = new Map<string, { count: number; readonly sinceMs: number }>()
  /** How many this account has had within the window, with this one. */
  const counted = (account: string): number => {
    const nowMs = clock.monotonicMs()
    const found = refusals.get(account)
    if (found && nowMs - found.sinceMs < WINDOW_MS) return ++found.count
    refusals.delete(account)
    const oldest = refusals.keys().next()
    if (refusals.size >= ACCOUNTS_MAX && !oldest.done) refusals.delete(oldest.value)
    refusals.set(account, { count: 1, sinceMs: nowMs })
    return 1
  }

  return async (decision) => {
    const { id, row } = decision.account
    const order = 'order' in decision ? decision.order : undefined
    const about = {
      by: `account ${id}`,
      account: id,
      // The kid of a router is its name.
      ...(row.externalAccount ? { device: row.externalAccount.kid } : {}),
      ...(order === undefined ? {} : { order }),
    }
    if (decision.kind !== 'refused') return audit.record({ event: EVENTS[decision.kind], ...about })
    const nth = counted(id)
    if (nth > REFUSALS_MAX) return
    const last = nth === REFUSALS_MAX ? '; no more of this account are put on record within the hour' : ''
    await audit.record({ event: 'order-refused', ...about, reason: reasonIn(decision.problem) + last })
  }
}

const EVENTS = {
  'account-deactivated': 'account-deactivated',
  'account-key-changed': 'account-key-changed',
  'order-canceled': 'order-cancelled',
  'authorization-deactivated': 'authorization-deactivated',
} as const satisfies Record<Exclude<AcmeDecision['kind'], 'refused'>, AuditEventName>

/** With the names that were at fault. */
function reasonIn({ detail, subproblems }: AcmeProblem): string {
  const parts = subproblems.map((one) =>
    one.identifier === undefined ? one.detail : `${one.identifier.value}: ${one.detail}`,
  )
  return [detail, ...parts].join('; ').slice(0, REASON_CHARS_MAX)
}
