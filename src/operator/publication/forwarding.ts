import { completeForwardedOrder, failOrder } from '../../acme/server/order-state.ts'
import type { OrderRow } from '../../acme/server/rows.ts'
import { fromBase64url } from '../../core/bytes.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import type { Audit } from '../audit/audit.ts'
import type { ForwardingAuthority } from '../authority/authority.ts'
import { attemptOver, Overtaken, writeDown } from './attempt.ts'
import { type IssuanceRow, namesOfRow } from './rows.ts'

/**
 * Orders that are passed on as they are, to a CA that does STAR or to the next delegation server (RFC 9115 §2.3, §2.4):
 * placed there once, whatever crashes, and completed with the CA's own URL. The row stays, as it says where the order went.
 */
export function forwarding(options: {
  readonly table: Table<IssuanceRow>
  readonly orders: Table<OrderRow>
  readonly audit?: Pick<Audit, 'record'> | undefined
  readonly clock: Clock
}): {
  /** `id`: that of the issuance row. Throws Overtaken, or what the authority threw. */
  forward(id: string, order: Stored<OrderRow>, to: ForwardingAuthority, signal: AbortSignal): Promise<void>
  /** False: this order was not forwarded to this authority. */
  cancel(id: string, at: ForwardingAuthority, signal: AbortSignal): Promise<boolean>
} {
  const { table, orders, audit, clock } = options
  return {
    async forward(id, order, to, signal) {
      const names = namesOfRow(order.row.identifiers)
      const fresh: IssuanceRow = { edition: 1, failures: 0, passedOver: [], names }
      const found = (await table.find(id)) ?? (await table.insert(id, fresh))
      if (!found) throw new Overtaken()
      const { attempt = { authority: to.id, taken: 0 } } = found.row
      const seen = await writeDown(table, found, { ...found.row, attempt: { ...attempt, taken: attempt.taken + 1 } })
      const { identifiers, csr, autoRenewal, account } = order.row
      const about = { by: 'service', account, order: order.id, device: identifiers[0]!, authority: to.id }
      const handle = attemptOver(table, seen, clock, signal)
      const passedOn = { names: identifiers, csr: fromBase64url(csr!)!, ...(autoRenewal ? { autoRenewal } : {}) }
      try {
        const { orderUrl, certificateUrl } = await to.forward(passedOn, handle.attempt)
        const latest = handle.latest()
        if (latest.row.attempt!.order !== orderUrl) await handle.attempt.placed(orderUrl)
        await audit?.record({ event: 'order-forwarded', ...about })
        await completeForwardedOrder(orders, order.id, certificateUrl)
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'AUTHORITY_WITHOUT_GET') throw error
        // RFC 9115 §2.3.2: Order1 becomes invalid, and the flag in it says why.
        const detail = 'the certification authority behind this server does not let certificates be fetched unsigned'
        const problem = { type: 'urn:ietf:params:acme:error:serverInternal', detail, status: 500 }
        await audit?.record({ event: 'order-failed', ...about, reason: error.message })
        await failOrder(orders, order.id, problem, { clearGetFlag: true })
      }
    },
    async cancel(id, at, signal) {
      const attempt = (await table.find(id))?.row.attempt
      if (attempt?.authority !== at.id || attempt.order === undefined) return false
      await at.cancel(attempt.order, signal)
      return true
    },
  }
}
