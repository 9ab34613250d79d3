import type { Stored } from '../../../core/table.ts'
import { AcmeProblem } from '../../problem.ts'
import { buildAutoRenewal, buildDate, type Order } from '../../resource.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import { jsonReply, type Reply } from '../exchange.ts'
import type { AccountRow, OrderRow } from '../rows.ts'
import { cancelRenewals } from './cancel.ts'

/** Read from our own state: no order moves because somebody looks at it. The one change a client can ask for is the end. */
export async function order(call: Call<'order'>, context: AcmeContext): Promise<Reply> {
  const found = await findOrder(call.params.order, call.account, context)
  if (call.payload === undefined) return orderReply(200, found, context)
  if (call.payload['status'] !== 'canceled') {
    throw new AcmeProblem('malformed', 'an order can only be made "canceled"; an empty payload reads it')
  }
  return orderReply(200, await cancelRenewals(found, call.account, context), context)
}

export async function findOrder(
  id: string,
  account: Stored<AccountRow>,
  { orders }: AcmeContext,
): Promise<Stored<OrderRow>> {
  const found = await orders.find(id)
  if (!found) throw new AcmeProblem('malformed', 'there is no such order', { status: 404 })
  if (found.row.account !== account.id) throw new AcmeProblem('unauthorized', "this order is another account's")
  return found
}

/** With Location, because clients that were answered by `finalize` poll that URL. */
export function orderReply(status: number, { id, row }: Stored<OrderRow>, context: AcmeContext): Reply {
  const { urls } = context
  const certificate =
    row.certificateUrl ??
    (row.certificate === undefined ? undefined : urls.to('certificate', { certificate: row.certificate }))
  const resource: Order = {
    status: row.status,
    expires: buildDate(row.expiresMs),
    identifiers: row.identifiers.map((value) => ({ type: 'dns', value })),
    ...(row.delegation === undefined ? {} : { delegation: urls.to('delegation', { delegation: row.delegation }) }),
    ...echoGetPermission(row),
    // With a delegation there are none: the template takes their place (RFC 9115 §2.3.2).
    authorizations:
      row.delegation === undefined
        ? row.identifiers.map((_, index) => urls.to('authorization', { order: id, index: String(index) }))
        : [],
    finalize: urls.to('finalize', { order: id }),
    ...(row.profile === undefined ? {} : { profile: row.profile }),
    ...(row.replaces === undefined ? {} : { replaces: row.replaces }),
    ...(row.error ? { error: row.error } : {}),
    ...(certificate === undefined ? {} : { [row.star ? 'star-certificate' : 'certificate']: certificate }),
  }
  return jsonReply(status, resource, {
    Location: urls.to('order', { order: id }),
    ...(row.status === 'processing' ? { 'Retry-After': String(context.retryAfterS) } : {}),
  })
}

/** In the place its kind of order has for it (RFC 9115 §2.3.2, §2.3.3). */
function echoGetPermission({ autoRenewal, allowCertificateGet, delegation }: OrderRow): Partial<Order> {
  if (autoRenewal) return { 'auto-renewal': buildAutoRenewal(autoRenewal, allowCertificateGet) }
  return delegation === undefined && !allowCertificateGet ? {} : { 'allow-certificate-get': allowCertificateGet }
}
