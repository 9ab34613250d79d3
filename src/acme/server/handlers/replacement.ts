import type { Stored } from '../../../core/table.ts'
import { parseCertificate } from '../../../pki/certificate.ts'
import type { JsonObject } from '../../json.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import { failOrder } from '../order-state.ts'
import type { OrderRow } from '../rows.ts'

/**
 * `replaces` of a newOrder (RFC 9773 §5): a certificate of the same account, for a name of this order, that no other order
 * replaces. Undefined when it is absent; servers without renewal information do not know the member.
 */
export async function readReplaces(
  payload: JsonObject,
  { account, identifiers }: { readonly account: string; readonly identifiers: readonly string[] },
  context: AcmeContext,
): Promise<string | undefined> {
  const { replaces } = payload
  const { issued } = context
  if (replaces === undefined || !issued) return undefined
  if (typeof replaces !== 'string') throw new AcmeProblem('malformed', '"replaces" is not the id of a certificate')
  const found = await issued.find(replaces)
  if (!found) throw new AcmeProblem('malformed', '"replaces" names no certificate of this server')
  if (found.account !== account)
    throw new AcmeProblem('unauthorized', '"replaces" names a certificate of another account')
  if (found.star || payload['auto-renewal'] !== undefined) {
    throw new AcmeProblem('malformed', 'what renews by itself neither replaces nor is replaced')
  }
  const names = parseCertificate(found.leaf).dnsNames.map((name) => name.toLowerCase())
  if (!names.some((name) => identifiers.includes(name))) {
    throw new AcmeProblem('malformed', '"replaces" names a certificate without any name of this order')
  }
  const other = await issued.replacements.find(replaces)
  if (other && (await isLive(other.row.order, context))) throw alreadyReplaced()
  return replaces
}

/** Of two orders that replace the same certificate one wins; the other has ended when this throws. */
export async function claimReplacement(order: Stored<OrderRow>, context: AcmeContext): Promise<void> {
  const { replaces } = order.row
  if (replaces === undefined || (await claim(replaces, order.id, context))) return
  const problem = alreadyReplaced()
  await failOrder(context.orders, order.id, problem.toDocument())
  throw problem
}

async function claim(certId: string, order: string, context: AcmeContext): Promise<boolean> {
  const { replacements } = context.issued!
  if (await replacements.insert(certId, { order })) return true
  const other = await replacements.find(certId)
  if (!other || (await isLive(other.row.order, context))) return false
  return (await replacements.replace(other, { order })) !== undefined
}

/** An order that failed replaces nothing. */
async function isLive(orderId: string, { orders }: AcmeContext): Promise<boolean> {
  const order = await orders.find(orderId)
  return order !== undefined && order.row.status !== 'invalid'
}

function alreadyReplaced(): AcmeProblem {
  return new AcmeProblem('alreadyReplaced', 'another order replaces this certificate')
}
