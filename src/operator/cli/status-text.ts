import type { OperatorStatus } from '../admin/operations.ts'
import { columns, facts, minute } from './columns.ts'

/** `hearth-operator status` for people. */
export function statusText({ directory, authorities, fleet, health }: OperatorStatus): string {
  const { counts, counted } = fleet
  const late = counts && counts.expiring > 0 ? ` (${counts.expiring} of them late)` : ''
  const routers =
    counts &&
    `${counts.valid} valid${late}, ${counts.failed} failed, ${counts.enrolled} without a certificate yet, ${counts.waiting} never enrolled, ${counts.revoked} revoked`
  const rows = health.map(({ id, kind, state, since, issued, failed, budgets }) => [
    id,
    kind,
    STATES[state],
    minute(since),
    String(issued),
    String(failed),
    budgets.map(({ name, used, max }) => `${name} ${used}/${max}`).join(', ') || '-',
  ])
  const errors = health.flatMap(({ id, lastError }) =>
    lastError ? [`last failure of ${id}, ${minute(lastError.at)}: ${lastError.reason}`] : [],
  )
  return [
    facts({
      directory,
      authorities: authorities.join(', then '),
      routers: routers ?? 'not counted yet',
      counted: counted && minute(counted),
    }),
    ...(rows.length > 0
      ? ['', columns([['AUTHORITY', 'KIND', 'STATE', 'SINCE', 'ISSUED', 'FAILED', 'BUDGETS'], ...rows])]
      : []),
    ...errors,
  ].join('\n')
}

const STATES = { closed: 'works', open: 'OUT', 'half-open': 'returning' } as const
