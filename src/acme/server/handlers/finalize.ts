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
 * RFC 8555 §7.4: a CSR that fits is kept, and the order is `processing` until an authority has certified it. One that does
 * not ends a delegated order (RFC 9115 §2.2) and leaves any other as it is. Of two at the same time one wins.
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
    if (seen.row.delegation === undefined) throw problem
    const ended = await context.orders.replace(seen, { ...seen.row, status: 'invalid', error: problem.toDocument() })
    throw ended ? problem : notReady('another request for this order was faster')
  }
  const moved = await context.orders.replace(seen, { ...seen.row, status: 'processing', csr })
  if (!moved) throw notReady('another request for this order was faster')
  await announce(moved, context)
  return orderReply(200, moved, context)
}

async function checkCsr(der: Uint8Array, row: OrderRow, context: AcmeContext): Promise<AcmeProblem | undefined> {
  const withdrawn = await problemOfRight(row, context)
  if (withdrawn) return withdrawn
  let csr: Csr
  try {
    csr = parseCsr(der)
  } catch (error) {
    if (error instanceof Fault && error.code === 'CSR_UNREADABLE') return badCsr(row, error.message)
    throw error
  }
  return problemOfCsr(csr, row, context)
}

/** The account may have lost its right to the names since newOrder. */
async function problemOfRight(
  { account, delegation, identifiers }: OrderRow,
  { delegations, preauthorized }: AcmeContext,
): Promise<AcmeProblem | undefined> {
  if (delegation !== undefined) {
    const isThere = (await delegations.find(account, delegation)) !== undefined
    return isThere ? undefined : new AcmeProblem('unknownDelegation', 'the delegation was withdrawn')
  }
  const problems = (await preauthorized?.(account, identifiers)) ?? [{ detail: 'delegated names only' }]
  const [first] = problems
  return first && new AcmeProblem('unauthorized', `the account may not have these names any more: ${first.detail}`)
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
