import { beforeEach, describe, expect, it } from 'vitest'
import { completeOrder } from '../../../../src/acme/server/order-state.ts'
import { BASE, createWorld, csrFor, enrol, problemOf, type RawPeer, starOrder, type World } from '../../world.ts'

const HELP = 'https://isp.example/limits'

let world: World
let peer: RawPeer
let delegation: string

async function open(limits: { newOrdersPerHour: number; openOrders: number }): Promise<void> {
  world = createWorld({ limits: { ...limits, help: HELP } })
  ;({ peer, delegation } = await enrol(world))
}
const place = () => peer.post(`${BASE}/new-order`, starOrder(world, delegation))
const idOf = (url: string): string => url.slice(`${BASE}/order/`.length)

describe('RFC 8555 §6.6 limits of new orders', () => {
  beforeEach(() => open({ newOrdersPerHour: 4, openOrders: 100 }))

  it('are 429 rateLimited with digits in Retry-After, and a link to the reason', async () => {
    for (let count = 0; count < 4; count++) expect((await place()).status).toBe(201)
    const reply = await place()
    expect(problemOf(reply)).toBe('429 rateLimited')
    expect(reply.headers['Retry-After']).toBe('900')
    expect(reply.headers['Link']).toContain(`<${HELP}>;rel="help"`)
  })

  it('grow back evenly', async () => {
    for (let count = 0; count < 5; count++) await place()
    world.clock.step(899_000)
    expect((await place()).status).toBe(429)
    world.clock.step(1_000)
    expect((await place()).status).toBe(201)
    expect((await place()).status).toBe(429)
  })

  it('hold for each account alone', async () => {
    for (let count = 0; count < 5; count++) await place()
    const other = await enrol(world, 'd2')
    expect((await other.peer.post(`${BASE}/new-order`, starOrder(world, other.delegation))).status).toBe(201)
  })

  it('hold for requests at the same time', async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, place))
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(4)
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(4)
  })

  it('are not used up by what is refused anyway', async () => {
    for (let count = 0; count < 9; count++) await peer.post(`${BASE}/new-order`, { identifiers: [] })
    expect((await place()).status).toBe(201)
  })
})

describe('RFC 8555 §6.6 limits of open orders', () => {
  beforeEach(() => open({ newOrdersPerHour: 100, openOrders: 2 }))

  it('count those that are neither valid nor invalid yet', async () => {
    const first = await place()
    await place()
    const refused = await place()
    expect([problemOf(refused), refused.headers['Retry-After']]).toEqual(['429 rateLimited', '60'])
    await peer.post(String(first.json.finalize), await csrFor(['cpe7.isp.example']))
    expect((await place()).status).toBe(429)
    await completeOrder(world.orders, idOf(first.location), 'c1')
    expect((await place()).status).toBe(201)
    expect((await place()).status).toBe(429)
  })

  it('do not count those that have expired', async () => {
    await place()
    await place()
    world.clock.step(31 * 86_400_000)
    expect((await place()).status).toBe(201)
  })
})
