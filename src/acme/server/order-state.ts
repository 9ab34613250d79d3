import assert from 'node:assert'
import type { Stored, Table } from '../../core/table.ts'
import type { ProblemDocument } from '../problem.ts'
import type { OrderStatus } from '../resource.ts'
import { rewrite } from './rewrite.ts'
import type { OrderRow } from './rows.ts'

/**
 * RFC 8555 §7.1.6 with `canceled` of RFC 8739 §3.1.2. A delegation order starts at `ready`: checking the CSR against
 * the template takes the place of authorizations (RFC 9115 §2.2).
 */
export const ORDER_TRANSITIONS: Readonly<Record<OrderStatus, readonly OrderStatus[]>> = {
  pending: ['ready', 'invalid'],
  ready: ['processing', 'invalid'],
  processing: ['valid', 'invalid'],
  valid: ['canceled'],
  invalid: [],
  canceled: [],
}

/** processing → valid. Repeating it with the same certificate changes nothing. */
export function completeOrder(orders: Table<OrderRow>, id: string, certificateId: string): Promise<Stored<OrderRow>> {
  return moveOrder(
    orders,
    id,
    'valid',
    (row) => ({ ...row, certificate: certificateId }),
    (row) => row.certificate === certificateId,
  )
}

/** processing → valid, with a certificate that is published elsewhere (RFC 9115 §2.3.2: the CA's own URL). */
export function completeForwardedOrder(
  orders: Table<OrderRow>,
  id: string,
  certificateUrl: string,
): Promise<Stored<OrderRow>> {
  return moveOrder(
    orders,
    id,
    'valid',
    (row) => ({ ...row, certificateUrl }),
    (row) => row.certificateUrl === certificateUrl,
  )
}

/** ready or processing → invalid. `clearGetFlag` tells the client that no authority could allow plain GET. */
export function failOrder(
  orders: Table<OrderRow>,
  id: string,
  problem: ProblemDocument,
  { clearGetFlag = false }: { readonly clearGetFlag?: boolean } = {},
): Promise<Stored<OrderRow>> {
  return moveOrder(orders, id, 'invalid', (row) => ({
    ...row,
    error: problem,
    allowCertificateGet: row.allowCertificateGet && !clearGetFlag,
  }))
}

/** valid → canceled: no certificate is issued any more (RFC 8739 §3.1.2). Only STAR orders have this way out. */
export function cancelOrder(orders: Table<OrderRow>, id: string): Promise<Stored<OrderRow>> {
  return moveOrder(orders, id, 'canceled', (row) => {
    assert(row.star, `order ${id} does not renew by itself, there is nothing to cancel`)
    return row
  })
}

/** An order already there is left as it is, so workers may repeat a step; a move the table does not have is their bug. */
function moveOrder(
  orders: Table<OrderRow>,
  id: string,
  to: OrderStatus,
  change: (row: OrderRow) => OrderRow,
  isRepetition: (row: OrderRow) => boolean = () => true,
): Promise<Stored<OrderRow>> {
  return rewrite(orders, id, (row) => {
    if (row.status === to && isRepetition(row)) return undefined
    assert(ORDER_TRANSITIONS[row.status].includes(to), `order ${id} is ${row.status} and cannot become ${to}`)
    return { ...change(row), status: to }
  })
}
