import { cancelOrder } from '../../acme/server/order-state.ts'
import type { OrderRow } from '../../acme/server/rows.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'

/** RFC 5280 §5.3.1, those that public CAs take. */
export const REVOCATION_REASONS = { unspecified: 0, keyCompromise: 1, superseded: 4, cessationOfOperation: 5 } as const
export type RevocationReason = keyof typeof REVOCATION_REASONS
export const REVOCATION_REASON_NAMES = Object.keys(REVOCATION_REASONS).filter(
  (name): name is RevocationReason => name in REVOCATION_REASONS,
)

/** How what an account has ordered comes to an end. */
export interface Revocations {
  /** Every order of the account; repeating it is fine. `usableUntilMs`: when its last published certificate runs out. */
  end(accountId: string, reason: RevocationReason): Promise<{ readonly usableUntilMs?: number }>
  /** One order. Fault NOT_FOUND, or CONFLICT when it cannot be ended. `changed`: it was still under way. */
  cancel(
    orderId: string,
    reason: RevocationReason,
  ): Promise<{ readonly changed: boolean; readonly order: OrderRow; readonly usableUntilMs?: number }>
}

/** What is asked of whoever publishes. */
export interface Publications {
  find(id: string): Promise<Stored<{ readonly notAfterMs: number }> | undefined>
}

/** Orders read at a time. */
const PAGE = 200
/** A worker moves an order a few times in its life. */
const COLLISIONS_MAX = 10

export function createRevocations(options: {
  readonly orders: Table<OrderRow>
  readonly publications: Publications
  /** For certificates that do not renew by themselves (RFC 9115 §2.3.6.2): resolves when it is sure to happen. */
  readonly revokeCertificate?: (publicationId: string, reason: RevocationReason) => Promise<void>
  readonly clock: Clock
}): Revocations {
  const { orders, publications, revokeCertificate, clock } = options

  const usableUntil = async ({ certificate }: OrderRow): Promise<number | undefined> => {
    const published = certificate === undefined ? undefined : await publications.find(certificate)
    const endMs = published?.row.notAfterMs
    return endMs !== undefined && endMs > clock.nowMs() ? endMs : undefined
  }
  /** True when it was still under way. */
  const endOrder = async (id: string, reason: RevocationReason): Promise<boolean> => {
    for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
      const seen = await orders.find(id)
      const { status, star, certificate } = seen?.row ?? {}
      if (!seen || status === 'invalid' || status === 'canceled') return false
      if (status === 'valid' && star) {
        await cancelOrder(orders, id)
        return true
      }
      if (status === 'valid') {
        if (certificate !== undefined) await revokeCertificate?.(certificate, reason)
        return revokeCertificate !== undefined
      }
      if (await orders.replace(seen, { ...seen.row, status: 'invalid', error: ENDED })) return true
    }
    throw new Fault('CONFLICT', `order ${id} changes all the time; try again`)
  }

  return {
    async end(accountId, reason) {
      let untilMs = 0
      let after: string | undefined
      for (;;) {
        const page = await orders.list({
          where: { account: accountId },
          limit: PAGE,
          ...(after === undefined ? {} : { after }),
        })
        for (const { id } of page) {
          await endOrder(id, reason)
          const order = await orders.find(id)
          untilMs = Math.max(untilMs, (order && (await usableUntil(order.row))) ?? 0)
        }
        if (page.length < PAGE) return untilMs === 0 ? {} : { usableUntilMs: untilMs }
        after = page.at(-1)!.id
      }
    },
    async cancel(orderId, reason) {
      const seen = await orders.find(orderId)
      if (!seen) throw new Fault('NOT_FOUND', `there is no order ${orderId}`)
      if (seen.row.status === 'invalid')
        throw new Fault('CONFLICT', `order ${orderId} has failed; it cannot be cancelled`)
      if (seen.row.status === 'valid' && !seen.row.star && !revokeCertificate)
        throw new Fault('CONFLICT', `order ${orderId} does not renew by itself; its certificate ends by itself`)
      const changed = await endOrder(orderId, reason)
      const order = (await orders.find(orderId))!.row
      const untilMs = await usableUntil(order)
      return { changed, order, ...(untilMs === undefined ? {} : { usableUntilMs: untilMs }) }
    },
  }
}

const ENDED = {
  type: 'urn:ietf:params:acme:error:unauthorized',
  detail: 'the operator has ended this order',
  status: 403,
} as const
