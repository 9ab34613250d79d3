import { fromBase64url } from '../../../core/bytes.ts'
import { Fault } from '../../../core/fault.ts'
import { explain } from '../../../core/log.ts'
import type { Stored } from '../../../core/table.ts'
import { type Csr, parseCsr } from '../../../pki/csr.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { OrderRow } from '../rows.ts'
import { findOrder, orderReply } from './order.ts'
import { badCsr, problemOfCsr } from './template-check.ts'

/**
 * RFC 8555 §7.4 under the rules of RFC 9115 §2.2: a CSR that does not fit ends the order, one that does is kept, and
 * the order is `processing` until an authority has certified it. Of two at the same time one wins.
 */
export async function finalize(call: Call<'finalize'>, context: AcmeContext): Promise<Reply> {
  const { account, params, payload } = call
  const seen = await findOrder(params.order, account, context)
  checkReady(seen, context)
  const { csr } = payload
  const der = typeof csr === 'string' ? fromBase64url(csr) : undefined
  if (typeof csr !== 'string' || !der) throw new AcmeProblem('malformed', '"csr" is not base64url without padding')
  const problem = await checkCsr(der, seen.row, context)
  if (problem) {
    const ended = await context.orders.replace(seen, { ...seen.row, status: 'invalid', error: problem.toDocument() })
    throw ended ? problem : notReady('another request for this order was faster')
  }
  const moved = await context.orders.replace(seen, { ...seen.row, status: 'processing', csr })
  if (!moved) throw notReady('another request for this order was faster')
  await announce(moved, context)
  return orderReply(200, moved, context)
}

async function checkCsr(der: Uint8Array, row: OrderRow, context: AcmeContext): Promise<AcmeProblem | undefined> {
  if (!(await context.delegations.find(row.account, row.delegation))) {
    return new AcmeProblem('unknownDelegation', 'the delegation was withdrawn')
  }
  let csr: Csr
  try {
    csr = parseCsr(der)
  } catch (error) {
    if (error instanceof Fault && error.code === 'CSR_UNREADABLE') return badCsr(error.message)
    throw error
  }
  return problemOfCsr(csr, row, context)
}

function checkReady({ row }: Stored<OrderRow>, { clock }: AcmeContext): void {
  if (row.status !== 'ready') throw notReady(`the order is ${row.status}`)
  if (row.expiresMs <= clock.nowMs()) throw notReady('the order has expired')
}

function notReady(detail: string): AcmeProblem {
  return new AcmeProblem('orderNotReady', `${detail}; an order is finalized once`)
}

/** The order is safe in the table by now, so the client is told the truth even if no worker could be woken. */
async function announce(order: Stored<OrderRow>, { onProcessing, log }: AcmeContext): Promise<void> {
  try {
    await onProcessing(order.id)
  } catch (error) {
    log?.error({ order: order.id, ...explain(error) }, 'no worker was told of a processing order')
  }
}
