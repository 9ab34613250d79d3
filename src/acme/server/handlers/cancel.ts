import { explain } from '../../../core/log.ts'
import type { Stored } from '../../../core/table.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { AccountRow, OrderRow } from '../rows.ts'

/**
 * RFC 8739 §3.1.2: the account that ordered renewals ends them, once. Not so the delegate: there the renewals are the
 * identifier owner's (RFC 9115 §2.3.6.1), unless the server was told otherwise.
 */
export async function cancelRenewals(
  seen: Stored<OrderRow>,
  account: Stored<AccountRow>,
  context: AcmeContext,
): Promise<Stored<OrderRow>> {
  const { row } = seen
  if (row.delegation !== undefined && !context.ownerMayCancel) {
    throw new AcmeProblem(
      'unauthorized',
      'a delegated certificate is cancelled by the identifier owner; ask the operator (RFC 9115 §2.3.6.1)',
    )
  }
  if (!row.star) throw notCancelable('the order does not renew by itself, there is nothing to cancel')
  if (row.status !== 'valid') throw notCancelable(`the order is ${row.status}; only a valid one can be cancelled`)
  const last = row.certificate === undefined ? undefined : await context.certificates.read(row.certificate)
  // What is published stays good until its own end.
  const expiresMs = Math.min(row.expiresMs, last?.notAfterMs ?? row.expiresMs)
  await context.onDecision?.({ kind: 'order-canceled', account, order: seen.id })
  const canceled = await context.orders.replace(seen, { ...row, status: 'canceled', expiresMs })
  if (!canceled) throw notCancelable('another request for this order was faster')
  await announce(canceled, context)
  return canceled
}

function notCancelable(detail: string): AcmeProblem {
  return new AcmeProblem('autoRenewalCancellationInvalid', detail)
}

/** The order is safe in the table by now, and whoever renews it looks there. */
async function announce({ id }: Stored<OrderRow>, { onCanceled, log }: AcmeContext): Promise<void> {
  try {
    await onCanceled?.(id)
  } catch (error) {
    log?.error({ order: id, ...explain(error) }, 'nobody was told of a cancelled order')
  }
}
