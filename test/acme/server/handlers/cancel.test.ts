import { beforeEach, describe, expect, it } from 'vitest'
import { completeOrder } from '../../../../src/acme/server/order-state.ts'
import { BASE, createWorld, csrFor, enrol, NAME, problemOf, type RawPeer, starOrder, type World } from '../../world.ts'

let world: World
let peer: RawPeer
const canceled: string[] = []

beforeEach(async () => {
  canceled.length = 0
  world = createWorld({ preauthorized: async () => [], onCanceled: async (order) => void canceled.push(order) })
  ;({ peer } = await enrol(world))
})

/** An order of the account itself, with renewals and without delegation. */
async function place(more: object = {}) {
  const { delegation: _, ...payload } = starOrder(world, 'none')
  const reply = await peer.post(`${BASE}/new-order`, { ...payload, ...more })
  return {
    url: reply.location,
    id: reply.location.slice(`${BASE}/order/`.length),
    finalize: String(reply.json.finalize),
  }
}
async function publish(order: { id: string; finalize: string }): Promise<void> {
  await peer.post(order.finalize, await csrFor([NAME]))
  const nowMs = world.clock.nowMs()
  const account = peer.kid!.slice(`${BASE}/account/`.length)
  const dates = { notBeforeMs: nowMs, notAfterMs: nowMs + 86_400_000, nextChangeMs: nowMs + 43_200_000 }
  world.published.set('c1', { account, pem: 'PEM', getAllowed: true, ...dates })
  await completeOrder(world.orders, order.id, 'c1')
}
const cancel = (url: string) => peer.post(url, { status: 'canceled' })

describe('RFC 8739 §3.1.2 cancel', () => {
  it('ends the renewals: 200, canceled, and expires with the last certificate', async () => {
    const order = await place()
    await publish(order)
    const reply = await cancel(order.url)
    expect(reply.status).toBe(200)
    expect(reply.json).toMatchObject({ status: 'canceled', expires: '2026-11-25T00:00:00Z' })
    expect(canceled).toEqual([order.id])
    expect((await peer.post(order.url, null)).json.status).toBe('canceled')
  })

  it('is autoRenewalCancellationInvalid before the order is valid', async () => {
    const order = await place()
    expect(problemOf(await cancel(order.url))).toBe('400 autoRenewalCancellationInvalid')
    await peer.post(order.finalize, await csrFor([NAME]))
    expect(problemOf(await cancel(order.url))).toBe('400 autoRenewalCancellationInvalid')
    expect(canceled).toEqual([])
  })

  it('is autoRenewalCancellationInvalid for an order that does not renew', async () => {
    const order = await place({ 'auto-renewal': undefined })
    await publish(order)
    expect(problemOf(await cancel(order.url))).toBe('400 autoRenewalCancellationInvalid')
  })

  it('lets one of two at the same time win', async () => {
    const order = await place()
    await publish(order)
    const replies = await Promise.all([cancel(order.url), cancel(order.url)])
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 400])
    expect(canceled).toEqual([order.id])
  })

  it('is closed to another account, and to other states', async () => {
    const order = await place()
    await publish(order)
    const other = (await enrol(world, 'd2')).peer
    expect(problemOf(await other.post(order.url, { status: 'canceled' }))).toBe('403 unauthorized')
    for (const status of ['valid', 'invalid', 7, undefined])
      expect(problemOf(await peer.post(order.url, { status }))).toBe('400 malformed')
  })

  it('tells the truth even if nobody could be told', async () => {
    world = createWorld({ preauthorized: async () => [], onCanceled: () => Promise.reject(new Error('away')) })
    ;({ peer } = await enrol(world))
    const order = await place()
    await publish(order)
    expect((await cancel(order.url)).json.status).toBe('canceled')
  })

  it('is the delegate’s only where the server was told so (RFC 9115 §2.3.6.1)', async () => {
    for (const [ownerMayCancel, verdict] of [
      [false, 403],
      [true, 200],
    ] as const) {
      world = createWorld({ ownerMayCancel })
      const enrolled = await enrol(world)
      peer = enrolled.peer
      const reply = await peer.post(`${BASE}/new-order`, starOrder(world, enrolled.delegation))
      const id = reply.location.slice(`${BASE}/order/`.length)
      await publish({ id, finalize: String(reply.json.finalize) })
      expect((await cancel(reply.location)).status).toBe(verdict)
    }
  })
})
