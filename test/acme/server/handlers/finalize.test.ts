import { beforeEach, describe, expect, it } from 'vitest'
import { completeForwardedOrder, completeOrder, failOrder } from '../../../../src/acme/server/order-state.ts'
import {
  ask,
  BASE,
  createWorld,
  csrFor,
  enrol,
  NAME,
  placeOrder,
  problemOf,
  type RawPeer,
  type World,
} from '../../world.ts'

let world: World
let peer: RawPeer
let order: { url: string; id: string; finalize: string }

beforeEach(async () => {
  world = createWorld()
  const enrolled = await enrol(world)
  peer = enrolled.peer
  order = await placeOrder(world, enrolled.delegation, peer)
})

const stored = async () => (await world.orders.find(order.id))!.row

describe('RFC 8555 §7.4 finalize', () => {
  it('keeps the CSR, answers processing with Retry-After and Location, and wakes a worker', async () => {
    const payload = await csrFor([NAME])
    const reply = await peer.post(order.finalize, payload)
    expect(reply.status).toBe(200)
    expect(reply.json.status).toBe('processing')
    expect(reply.headers).toMatchObject({ Location: order.url, 'Retry-After': '3', 'Content-Type': 'application/json' })
    expect(await stored()).toMatchObject({ status: 'processing', csr: payload.csr })
    expect(world.processing).toEqual([order.id])
  })

  it('works once', async () => {
    await peer.post(order.finalize, await csrFor([NAME]))
    expect(problemOf(await peer.post(order.finalize, await csrFor([NAME])))).toBe('403 orderNotReady')
    expect(world.processing).toEqual([order.id])
  })

  it('lets one of two requests at the same time win', async () => {
    const payloads = [await csrFor([NAME]), await csrFor([NAME])]
    const replies = await Promise.all(payloads.map((payload) => peer.post(order.finalize, payload)))
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 403])
    const winner = replies.findIndex(({ status }) => status === 200)
    expect((await stored()).csr).toBe(payloads[winner]!.csr)
    expect(problemOf(replies[1 - winner]!)).toBe('403 orderNotReady')
    expect(world.processing).toEqual([order.id])
  })

  it('lets a good CSR win against a bad one without spoiling the order', async () => {
    const replies = await Promise.all([
      peer.post(order.finalize, await csrFor([NAME])),
      peer.post(order.finalize, await csrFor(['other.example'])),
    ])
    const { status } = await stored()
    expect(status).toBe(replies[0].status === 200 ? 'processing' : 'invalid')
    expect(replies.filter((reply) => reply.status === 200)).toHaveLength(status === 'processing' ? 1 : 0)
  })

  it('is closed to another account', async () => {
    const other = (await enrol(world, 'd2')).peer
    expect(problemOf(await other.post(order.finalize, await csrFor([NAME])))).toBe('403 unauthorized')
    expect(problemOf(await other.post(order.url, null))).toBe('403 unauthorized')
    expect((await stored()).status).toBe('ready')
  })

  it('does not know an unknown order', async () => {
    const payload = await csrFor([NAME])
    expect(problemOf(await peer.post(`${BASE}/order/none/finalize`, payload))).toBe('404 malformed')
    expect(problemOf(await peer.post(`${BASE}/order/none`, null))).toBe('404 malformed')
  })

  it('keeps the order when the request itself is malformed', async () => {
    for (const payload of [{}, { csr: 7 }, { csr: 'AA==' }, { csr: '-----BEGIN CERTIFICATE REQUEST-----' }]) {
      expect(problemOf(await peer.post(order.finalize, payload))).toBe('400 malformed')
    }
    expect((await stored()).status).toBe('ready')
  })

  it('is too late for an order that has expired', async () => {
    world.clock.step(31 * 86_400_000)
    expect(problemOf(await peer.post(order.finalize, await csrFor([NAME])))).toBe('403 orderNotReady')
  })

  it('answers processing even if no worker could be woken: the order is safe', async () => {
    world = createWorld({ onProcessing: () => Promise.reject(new Error('the queue is down')) })
    const enrolled = await enrol(world)
    order = await placeOrder(world, enrolled.delegation, enrolled.peer)
    const reply = await enrolled.peer.post(order.finalize, await csrFor([NAME]))
    expect([reply.status, (await stored()).status]).toEqual([200, 'processing'])
  })
})

describe('RFC 9115 §2.3.2 a CSR that does not fit', () => {
  /** 403 badCSR, the order invalid with the same problem in it, and no worker woken. */
  async function refuse(payload: { csr: string }) {
    const reply = await peer.post(order.finalize, payload)
    expect(problemOf(reply)).toBe('403 badCSR')
    expect(reply.headers['Content-Type']).toBe('application/problem+json')
    expect((await peer.post(order.url, null)).json).toMatchObject({ status: 'invalid', error: reply.json })
    expect(world.processing).toEqual([])
    return reply.json
  }

  it('hands the problems of the template on, names as subproblems', async () => {
    world.csrProblems.push(
      { kind: 'rejectedIdentifier', detail: 'not assigned to this device', identifier: NAME },
      { kind: 'badCSR', detail: 'keyUsage must be digitalSignature alone' },
    )
    const problem = await refuse(await csrFor([NAME]))
    expect(problem.detail).toContain('keyUsage must be digitalSignature alone')
    expect(problem.subproblems).toEqual([
      {
        type: 'urn:ietf:params:acme:error:rejectedIdentifier',
        detail: 'not assigned to this device',
        identifier: { type: 'dns', value: NAME },
      },
      { type: 'urn:ietf:params:acme:error:badCSR', detail: 'keyUsage must be digitalSignature alone' },
    ])
  })

  it('has a name more than the order', async () => {
    const { subproblems } = await refuse(await csrFor([NAME, 'cpe8.isp.example']))
    expect(subproblems).toMatchObject([{ identifier: { value: 'cpe8.isp.example' } }])
  })

  it('has a name less than the order', async () => {
    const { subproblems } = await refuse(await csrFor(['cpe8.isp.example']))
    expect(subproblems.map((sub: any) => sub.identifier.value)).toEqual(['cpe8.isp.example', NAME])
  })

  it('is for the account key (RFC 8555 §11.1)', async () => {
    const { detail } = await refuse(await csrFor([NAME], peer.keyPem))
    expect(detail).toContain('account key')
  })

  it('is for the account key of somebody else', async () => {
    const other = (await enrol(world, 'd2')).peer
    await refuse(await csrFor([NAME], other.keyPem))
  })

  it('is no CSR at all', async () => {
    await refuse({ csr: Buffer.from('not DER').toString('base64url') })
  })

  it('comes after its delegation was removed', async () => {
    world.delegated.delete('d1')
    expect(problemOf(await peer.post(order.finalize, await csrFor([NAME])))).toBe('403 unknownDelegation')
    expect((await stored()).status).toBe('invalid')
  })

  it('needs a new order', async () => {
    await refuse(await csrFor(['other.example']))
    expect(problemOf(await peer.post(order.finalize, await csrFor([NAME])))).toBe('403 orderNotReady')
  })
})

describe('RFC 8555 §7.1.3 order', () => {
  beforeEach(async () => {
    await peer.post(order.finalize, await csrFor([NAME]))
  })

  it('says when to look again while it is processing', async () => {
    expect((await peer.post(order.url, null)).headers['Retry-After']).toBe('3')
  })

  it('names the URL of the authority, unchanged, when the order was forwarded (RFC 9115 §2.3.2)', async () => {
    await completeForwardedOrder(world.orders, order.id, 'https://ca.example/star/Zk3v0mW1b6s2')
    const { json } = await peer.post(order.url, null)
    expect(json).toMatchObject({ status: 'valid', 'star-certificate': 'https://ca.example/star/Zk3v0mW1b6s2' })
  })

  it('names the star-certificate once valid, and not certificate', async () => {
    await completeOrder(world.orders, order.id, 'c1')
    const { json, headers } = await peer.post(order.url, null)
    expect(json).toMatchObject({ status: 'valid', 'star-certificate': `${BASE}/cert/c1` })
    expect(json).not.toHaveProperty('certificate')
    expect(headers).not.toHaveProperty('Retry-After')
  })

  it('shows a cleared GET flag where its kind has it (RFC 9115 §2.2)', async () => {
    const error = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'no authority allows GET', status: 500 }
    await failOrder(world.orders, order.id, error, { clearGetFlag: true })
    const { json } = await peer.post(order.url, null)
    expect(json).toMatchObject({ status: 'invalid', error, 'auto-renewal': { 'allow-certificate-get': false } })
  })

  it('cannot be cancelled by the delegate (RFC 9115 §2.3.6.1)', async () => {
    await completeOrder(world.orders, order.id, 'c1')
    expect(problemOf(await peer.post(order.url, { status: 'canceled' }))).toBe('403 unauthorized')
    expect((await stored()).status).toBe('valid')
  })

  it('is not read with plain GET (RFC 8555 §6.3)', async () => {
    const reply = await ask(world.server, 'GET', order.url)
    expect([problemOf(reply), reply.headers['Allow']]).toEqual(['405 malformed', 'POST'])
  })
})
