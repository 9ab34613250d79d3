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
  /** One order. Fault NOT_FOUND, or CONFLICT when it cannot be ended. */
  cancel(
    orderId: string,
    reason: RevocationReason,
  ): Promise<{ readonly order: OrderRow; readonly usableUntilMs?: number }>
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
  /**
   * The publisher's part, where there is one: ends the order and what it gets, revokes what does not renew by itself (RFC
   * 9115 §2.3.6.2), and tells until when the last certificate may be believed. May be repeated.
   */
  readonly cancelPublication?: (orderId: string, reason: RevocationReason) => Promise<number | undefined>
  readonly clock: Clock
}): Revocations {
  const { orders, publications, cancelPublication, clock } = options

  const usableUntil = async ({ certificate }: OrderRow): Promise<number | undefined> => {
    const published = certificate === undefined ? undefined : await publications.find(certificate)
    const endMs = published?.row.notAfterMs
    return endMs !== undefined && endMs > clock.nowMs() ? endMs : undefined
  }
  const endHere = async (id: string): Promise<void> => {
    for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
      const seen = await orders.find(id)
      const { status, star } = seen?.row ?? {}
      if (!seen || status === 'invalid' || status === 'canceled') return
      if (status === 'valid') {
        if (star) await cancelOrder(orders, id)
        return
      }
      if (await orders.replace(seen, { ...seen.row, status: 'invalid', error: ENDED })) return
    }
    throw new Fault('CONFLICT', `order ${id} changes all the time; try again`)
  }
  /** Until when its certificate may be believed. The order is over here whatever becomes of the publisher's part. */
  const endOrder = async (id: string, reason: RevocationReason): Promise<number | undefined> => {
    await endHere(id)
    if (cancelPublication) return cancelPublication(id, reason)
    const order = await orders.find(id)
    return order && usableUntil(order.row)
  }

  return {
    async end(accountId, reason) {
      const failures: unknown[] = []
      let untilMs = 0
      let after: string | undefined
      for (;;) {
        const page = await orders.list({
          where: { account: accountId },
          limit: PAGE,
          ...(after === undefined ? {} : { after }),
        })
        for (const { id } of page) {
          // A CA that cannot be reached must not keep the others' renewals going.
          const endMs = await endOrder(id, reason).catch((error: unknown) => void failures.push(error))
          untilMs = Math.max(untilMs, endMs ?? 0)
        }
        if (page.length < PAGE) break
        after = page.at(-1)!.id
      }
      if (failures.length > 0) throw failures[0]
      return untilMs === 0 ? {} : { usableUntilMs: untilMs }
    },
    async cancel(orderId, reason) {
      const seen = await orders.find(orderId)
      if (!seen) throw new Fault('NOT_FOUND', `there is no order ${orderId}`)
      if (seen.row.status === 'invalid')
        throw new Fault('CONFLICT', `order ${orderId} has failed; it cannot be cancelled`)
      if (seen.row.status === 'valid' && !seen.row.star && !cancelPublication)
        throw new Fault('CONFLICT', `order ${orderId} does not renew by itself; its certificate ends by itself`)
      const untilMs = await endOrder(orderId, reason)
      const order = (await orders.find(orderId))!.row
      return { order, ...(untilMs === undefined ? {} : { usableUntilMs: untilMs }) }
    },
  }
}

const ENDED = {
  type: 'urn:ietf:params:acme:error:unauthorized',
  detail: 'the operator has ended this order',
  status: 403,
} as const
