import { buildDate, type OrderStatus } from '../../acme/resource.ts'
import type { OrderRow } from '../../acme/server/rows.ts'
import { Fault } from '../../core/fault.ts'
import type { Stored, Table } from '../../core/table.ts'
import { REVOCATION_REASON_NAMES } from '../../pki/revocation-reason.ts'
import type { Audit } from '../audit/audit.ts'
import type { DeviceRegistry } from '../delegation/devices.ts'
import type { Publications, Revocations } from '../delegation/revocations.ts'
import type { Ended } from './device-operations.ts'
import { type OperationTable, operation } from './operation.ts'
import { AFTER, ID, LIMIT, NAME_CHARS_MAX, nextAfter, PAGE_MAX } from './properties.ts'

export const ORDER_STATUSES = [
  'pending',
  'ready',
  'processing',
  'valid',
  'invalid',
  'canceled',
] as const satisfies OrderStatus[]

export interface OrderSummary {
  readonly id: string
  readonly status: OrderStatus
  readonly names: readonly string[]
  /** It renews by itself (RFC 8739). */
  readonly renews: boolean
  /** When an order that waits is given up, or the renewals end. */
  readonly expires: string
  /** End of the certificate that is published now. */
  readonly validUntil?: string
  readonly error?: string
}

export interface OrderDetails extends OrderSummary {
  readonly account: string
  readonly certificate?: string
  /** In seconds. */
  readonly lifetime?: number
  readonly renewsUntil?: string
}

export interface OrderPage {
  readonly orders: readonly OrderSummary[]
  readonly next?: string
}

export function orderOperations(parts: {
  readonly orders: Table<OrderRow>
  readonly publications: Publications
  readonly revocations: Revocations
  readonly registry: Pick<DeviceRegistry, 'find'>
  readonly audit: Pick<Audit, 'record'>
}) {
  const { orders, publications, revocations, registry, audit } = parts

  const summaryOf = async ({ id, row }: Stored<OrderRow>): Promise<OrderSummary> => {
    const published = row.certificate === undefined ? undefined : await publications.find(row.certificate)
    return {
      id,
      status: row.status,
      names: row.identifiers,
      renews: row.star,
      expires: date(row.expiresMs),
      ...(published ? { validUntil: date(published.row.notAfterMs) } : {}),
      ...(row.error ? { error: row.error.detail } : {}),
    }
  }

  return {
    'order-list': operation({
      summary: 'orders of one router, or of one status, or all',
      role: 'read',
      input: {
        device: { type: 'string', description: 'only those of this router', maxLength: NAME_CHARS_MAX },
        status: { type: 'string', description: 'only those (RFC 8555 §7.1.6)', maxLength: 16, enum: ORDER_STATUSES },
        after: AFTER,
        limit: LIMIT,
      },
      async run({ device, status, after, limit = PAGE_MAX }): Promise<OrderPage> {
        const owner = device === undefined ? undefined : await registry.find(device)
        if (device !== undefined && !owner) throw new Fault('NOT_FOUND', `there is no device ${device}`)
        if (owner && owner.row.account === undefined) return { orders: [] }
        const page = await orders.list({
          where: {
            ...(owner?.row.account === undefined ? {} : { account: owner.row.account }),
            ...(status === undefined ? {} : { status }),
          },
          limit,
          ...(after === undefined ? {} : { after }),
        })
        return {
          orders: await Promise.all(page.map(summaryOf)),
          ...nextAfter(page, limit),
        }
      },
    }),
    'order-show': operation({
      summary: 'everything about one order',
      role: 'read',
      input: { id: ID },
      async run({ id }): Promise<OrderDetails> {
        const order = await orders.find(id)
        if (!order) throw new Fault('NOT_FOUND', `there is no order ${id}`)
        const { account, certificate, autoRenewal } = order.row
        return {
          ...(await summaryOf(order)),
          account,
          ...(certificate === undefined ? {} : { certificate }),
          ...(autoRenewal ? { lifetime: autoRenewal.lifetimeS, renewsUntil: date(autoRenewal.endMs) } : {}),
        }
      },
    }),
    'order-cancel': operation({
      summary: 'end the renewals of an order (RFC 8739 §3.1.2), or an order that is not done yet',
      role: 'operate',
      input: {
        id: ID,
        reason: { type: 'string', description: 'why (RFC 5280 §5.3.1)', maxLength: 32, enum: REVOCATION_REASON_NAMES },
      },
      async run(
        { id, reason = 'cessationOfOperation' },
        { by },
      ): Promise<Ended & { readonly id: string; readonly status: string }> {
        await audit.record({ event: 'order-cancelled', by, order: id, reason })
        const { order, usableUntilMs, unfinished } = await revocations.cancel(id, reason)
        return {
          id,
          status: order.status,
          ...(usableUntilMs === undefined ? {} : { usableUntil: date(usableUntilMs) }),
          ...(unfinished === undefined ? {} : { unfinished }),
        }
      },
    }),
  } satisfies OperationTable
}

function date(ms: number): string {
  return buildDate(Math.floor(ms / 1000) * 1000)
}
