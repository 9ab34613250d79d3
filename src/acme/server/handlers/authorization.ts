import { createHash } from 'node:crypto'
import type { Stored } from '../../../core/table.ts'
import { AcmeProblem } from '../../problem.ts'
import { type Authorization, buildDate, type Challenge } from '../../resource.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import { jsonReply, type Reply } from '../exchange.ts'
import { rewrite } from '../rewrite.ts'
import type { OrderRow } from '../rows.ts'
import { findOrder } from './order.ts'

/**
 * RFC 8555 §7.5 for orders without delegation. The account was tied to its name when it was opened, so an authorization is
 * valid from the start and nothing of it is kept but whether the client gave it up (§7.5.2).
 */
export async function authorization(call: Call<'authorization'>, context: AcmeContext): Promise<Reply> {
  const { order, index } = await findAuthorization(call, context)
  if (call.payload === undefined) return jsonReply(200, authorizationOf(order, index, context))
  if (call.payload['status'] !== 'deactivated') {
    throw new AcmeProblem('malformed', 'an authorization can only be made "deactivated"')
  }
  if (!order.row.deactivated?.includes(index))
    await context.onDecision?.({ kind: 'authorization-deactivated', account: call.account, order: order.id })
  const written = await rewrite(context.orders, order.id, (row) => withoutAuthorization(row, index))
  return jsonReply(200, authorizationOf(written, index, context))
}

/** RFC 8555 §7.5.1. There is nothing to validate any more; whoever asks for it sees the valid challenge. */
export async function challenge(call: Call<'challenge'>, context: AcmeContext): Promise<Reply> {
  const { order, index } = await findAuthorization(call, context)
  const up = context.urls.to('authorization', { order: order.id, index: String(index) })
  return jsonReply(200, challengeOf(order, index, context), { Link: `<${up}>;rel="up"` })
}

async function findAuthorization(
  { account, params }: Call<'authorization'> | Call<'challenge'>,
  context: AcmeContext,
): Promise<{ order: Stored<OrderRow>; index: number }> {
  const order = await findOrder(params.order, account, context)
  const { delegation, identifiers } = order.row
  const index = identifiers.findIndex((_, at) => String(at) === params.index)
  if (delegation !== undefined || index < 0) {
    throw new AcmeProblem('malformed', 'this order has no such authorization', { status: 404 })
  }
  return { order, index }
}

/** An order that was not finalized yet ends with the first of its authorizations. */
function withoutAuthorization(row: OrderRow, index: number): OrderRow | undefined {
  const deactivated = row.deactivated ?? []
  if (deactivated.includes(index)) return undefined
  const problem = new AcmeProblem('unauthorized', 'an authorization of this order was deactivated')
  return {
    ...row,
    deactivated: [...deactivated, index],
    ...(row.status === 'ready' ? { status: 'invalid', error: problem.toDocument() } : {}),
  }
}

function authorizationOf(order: Stored<OrderRow>, index: number, context: AcmeContext): Authorization {
  const { identifiers, expiresMs, deactivated = [] } = order.row
  const name = identifiers[index]!
  return {
    identifier: { type: 'dns', value: name.replace(/^\*\./, '') },
    status: deactivated.includes(index) ? 'deactivated' : context.clock.nowMs() < expiresMs ? 'valid' : 'expired',
    expires: buildDate(expiresMs),
    challenges: [challengeOf(order, index, context)],
    ...(name.startsWith('*.') ? { wildcard: true } : {}),
  }
}

/** dns-01, because that is what the operator does for the name behind us. */
function challengeOf({ id, row }: Stored<OrderRow>, index: number, { urls }: AcmeContext): Challenge {
  return {
    type: 'dns-01',
    url: urls.to('challenge', { order: id, index: String(index) }),
    status: 'valid',
    token: createHash('sha256').update(`token of ${id} ${index}`).digest('base64url'),
    ...(row.createdMs === undefined ? {} : { validated: buildDate(row.createdMs) }),
  }
}
