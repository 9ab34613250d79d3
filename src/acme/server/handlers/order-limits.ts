import type { Stored } from '../../../core/table.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { OrderLimits } from '../options.ts'
import type { AccountRow, OrderingState, OrderRow } from '../rows.ts'
import { checkStanding } from '../steps/authenticate.ts'

const HOUR_MS = 3_600_000
/** More requests of one account at the same time are not waited for. */
const COLLISIONS_MAX = 10
/** An open order ends within minutes: by its certificate, or because no authority issues. */
const OPEN_RETRY_S = 60

/**
 * Counts a new order on its account, or throws rateLimited with the time to wait (RFC 8555 §6.6). The count is kept in
 * the account's own row: one write for each order, whatever instance takes it, and nothing to clear away.
 */
export async function admitOrder(signer: Stored<AccountRow>, orderId: string, context: AcmeContext): Promise<void> {
  const { accounts, limits } = context
  if (!limits) return
  let isPruned = false
  for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
    // As it was when the request was authenticated; somebody who has written since is noticed below.
    const account = attempt === 0 ? signer : await accounts.find(signer.id)
    if (!account) throw new AcmeProblem('accountDoesNotExist', 'this account is gone')
    checkStanding(account.row)
    const state = grown(account.row.ordering, limits, context.clock.nowMs())
    if (state.allowance < 1)
      throw tooMany(`${limits.newOrdersPerHour} new orders in an hour`, untilNextS(state, limits))
    if (state.open.length >= limits.openOrders) {
      if (isPruned) throw tooMany(`${limits.openOrders} open orders at a time`, OPEN_RETRY_S)
      await forgetEnded(account, context)
      isPruned = true
      continue
    }
    const next = { ...state, allowance: state.allowance - 1, open: [...state.open, orderId] }
    if (await accounts.replace(account, { ...account.row, ordering: next })) return
  }
  throw tooMany('so many requests of one account at the same time', 1)

  function tooMany(bound: string, retryAfterS: number): AcmeProblem {
    return new AcmeProblem('rateLimited', `this account has reached its limit: ${bound}`, {
      headers: { 'Retry-After': String(retryAfterS), Link: `<${limits!.help}>;rel="help"` },
    })
  }
}

function grown(state: OrderingState | undefined, { newOrdersPerHour }: OrderLimits, nowMs: number): OrderingState {
  if (!state) return { allowance: newOrdersPerHour, atMs: nowMs, open: [] }
  const grownMs = Math.max(0, nowMs - state.atMs)
  const allowance = Math.min(newOrdersPerHour, state.allowance + (grownMs / HOUR_MS) * newOrdersPerHour)
  return { ...state, allowance, atMs: nowMs }
}

function untilNextS({ allowance }: OrderingState, { newOrdersPerHour }: OrderLimits): number {
  return Math.ceil(((1 - allowance) * HOUR_MS) / newOrdersPerHour / 1000)
}

/** Only when the list is full, so that an order costs no look at the others. Losing a race here leaves it to the next one. */
async function forgetEnded({ id, row }: Stored<AccountRow>, { accounts, orders, clock }: AcmeContext): Promise<void> {
  const listed = row.ordering?.open ?? []
  const found = await Promise.all(listed.map((order) => orders.find(order)))
  const open = new Set(found.flatMap((order) => (order && isOpen(order.row, clock.nowMs()) ? [order.id] : [])))
  const seen = await accounts.find(id)
  if (!seen?.row.ordering) return
  const kept = seen.row.ordering.open.filter((order) => open.has(order) || !listed.includes(order))
  await accounts.replace(seen, { ...seen.row, ordering: { ...seen.row.ordering, open: kept } })
}

function isOpen({ status, expiresMs }: OrderRow, nowMs: number): boolean {
  return expiresMs > nowMs && (status === 'pending' || status === 'ready' || status === 'processing')
}
