import { cancelOrder } from '../../acme/server/order-state.ts'
import type { OrderRow } from '../../acme/server/rows.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { allRows, type Stored, type Table } from '../../core/table.ts'
import type { RevocationReason } from '../../pki/revocation-reason.ts'

export interface Ending {
  /** Until then a certificate may still be believed, by those who do not ask for revocations; absent: not any more. */
  readonly usableUntilMs?: number
  /** Why a certificate could not be revoked at its CA yet. Nothing is issued any more all the same. */
  readonly unfinished?: string
}

/** How what an account has ordered comes to an end. */
export interface Revocations {
  /** Every order of the account; repeating it is fine, and completes what is `unfinished`. */
  end(accountId: string, reason: RevocationReason): Promise<Ending>
  /** One order. Fault NOT_FOUND, or CONFLICT when it cannot be ended. */
  cancel(orderId: string, reason: RevocationReason): Promise<Ending & { readonly order: OrderRow }>
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
  /** Where there is no publisher, or its CA is away: a worker revokes the certificate as soon as it can. */
  readonly revokeLater?: (publicationId: string, reason: RevocationReason) => Promise<void>
  readonly clock: Clock
}): Revocations {
  const { orders, publications, cancelPublication, revokeLater, clock } = options

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
  /** The order is over here whatever becomes of the publisher's part. */
  const endOrder = async (id: string, reason: RevocationReason): Promise<Ending> => {
    await endHere(id)
    const order = await orders.find(id)
    const untilMs = order && (await usableUntil(order.row))
    const believed = untilMs === undefined ? {} : { usableUntilMs: untilMs }
    const later = async (why: string): Promise<Ending> => {
      if (untilMs !== undefined && !order!.row.star) await revokeLater?.(order!.row.certificate!, reason)
      return { ...believed, unfinished: why }
    }
    if (!cancelPublication) return untilMs === undefined || order!.row.star ? believed : later(ONLY_RUNNING)
    try {
      const endMs = await cancelPublication(id, reason)
      return endMs === undefined ? {} : { usableUntilMs: endMs }
    } catch (error) {
      // A CA that cannot be reached must not keep the others' renewals going.
      return later(reasonOf(error))
    }
  }

  return {
    async end(accountId, reason) {
      let ending: Ending = {}
      for await (const { id } of allRows(orders, { where: { account: accountId }, limit: PAGE }))
        ending = together(ending, await endOrder(id, reason))
      return ending
    },
    async cancel(orderId, reason) {
      const seen = await orders.find(orderId)
      if (!seen) throw new Fault('NOT_FOUND', `there is no order ${orderId}`)
      if (seen.row.status === 'invalid')
        throw new Fault('CONFLICT', `order ${orderId} has failed; it cannot be cancelled`)
      if (seen.row.status === 'valid' && !seen.row.star && !cancelPublication)
        throw new Fault('CONFLICT', `order ${orderId} does not renew by itself; its certificate ends by itself`)
      const ending = await endOrder(orderId, reason)
      return { ...ending, order: (await orders.find(orderId))!.row }
    },
  }
}

/** What holds for both. */
export function together(one: Ending, other: Ending): Ending {
  const untilMs = Math.max(one.usableUntilMs ?? 0, other.usableUntilMs ?? 0)
  const unfinished = one.unfinished ?? other.unfinished
  return {
    ...(untilMs === 0 ? {} : { usableUntilMs: untilMs }),
    ...(unfinished === undefined ? {} : { unfinished }),
  }
}

const ONLY_RUNNING = 'only the running service revokes at the CA'
const ENDED = {
  type: 'urn:ietf:params:acme:error:unauthorized',
  detail: 'the operator has ended this order',
  status: 403,
} as const
