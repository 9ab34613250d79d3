import { beforeEach, describe, expect, it } from 'vitest'
import { acmeRecord } from '../../../src/operator/audit/acme-record.ts'
import type { AuditEvent } from '../../../src/operator/audit/entry.ts'
import { generateKey } from '../../../src/pki/key.ts'
import {
  BASE,
  createWorld,
  csrFor,
  enrol,
  NAME,
  placeOrder,
  problemOf,
  RawPeer,
  starOrder,
  type World,
} from '../../acme/world.ts'

const NEW_ORDER = `${BASE}/new-order`

let events: AuditEvent[]
let world: World
let peer: RawPeer
let account: string
let delegation: string

/** A server whose decisions are put on record, over the clock that the record goes by. */
async function begin(overrides: Parameters<typeof createWorld>[0] = {}): Promise<void> {
  events = []
  const audit = { record: async (event: AuditEvent) => void events.push(event) }
  let record: ReturnType<typeof acmeRecord>
  world = createWorld({ onDecision: (decision) => record(decision), ...overrides })
  record = acmeRecord({ audit, clock: world.clock })
  ;({ peer, account, delegation } = await enrol(world))
}
const kid = async (): Promise<string> => (await world.accounts.find(account))!.row.externalAccount!.kid
const about = async () => ({ by: `account ${account}`, account, device: await kid() })
const plain = (name = NAME) => ({ identifiers: [{ type: 'dns', value: name }] })

beforeEach(() => begin())

describe('the audit log has, of what an account decides over ACME,', () => {
  it('that it was deactivated, once', async () => {
    const by = await about()
    await peer.post(peer.kid!, { contact: ['mailto:a@isp.example'] })
    await peer.post(peer.kid!, { status: 'deactivated' })
    await peer.post(peer.kid!, { status: 'deactivated' })
    expect(events).toEqual([{ event: 'account-deactivated', ...by }])
  })

  it('that its key was changed', async () => {
    const by = await about()
    const successor = new RawPeer(world.server, await generateKey('p256'))
    const url = `${BASE}/key-change`
    const inner = await successor.jws(
      url,
      { account: peer.kid, oldKey: peer.jwk },
      { by: 'jwk', header: { nonce: undefined } },
    )
    expect((await peer.post(url, inner)).status).toBe(200)
    expect(events).toEqual([{ event: 'account-key-changed', ...by }])
  })

  it('that its renewals were cancelled', async () => {
    await begin({ ownerMayCancel: true })
    const { url, id } = await placeOrder(world, delegation, peer)
    const order = (await world.orders.find(id))!
    await world.orders.replace(order, { ...order.row, status: 'valid' })
    expect((await peer.post(url, { status: 'canceled' })).json.status).toBe('canceled')
    expect(problemOf(await peer.post(url, { status: 'canceled' }))).toBe('400 autoRenewalCancellationInvalid')
    expect(events).toEqual([{ event: 'order-cancelled', ...(await about()), order: id }])
  })

  it('that an authorization was given up', async () => {
    await begin({ preauthorized: async () => [] })
    const order = await peer.post(NEW_ORDER, plain())
    const id = order.location.slice(`${BASE}/order/`.length)
    for (let n = 0; n < 2; n++) await peer.post(order.json.authorizations[0], { status: 'deactivated' })
    expect(events).toEqual([{ event: 'authorization-deactivated', ...(await about()), order: id }])
  })
})

describe('the audit log has what an account was refused:', () => {
  it('an order for a name that is not its own, with and without a delegation', async () => {
    await begin({
      preauthorized: async () => [{ kind: 'rejectedIdentifier', detail: 'not yours', identifier: 'b.example' }],
    })
    const foreign = { identifiers: [{ type: 'dns', value: 'b.example' }] }
    expect(problemOf(await peer.post(NEW_ORDER, { ...starOrder(world, delegation), ...foreign }))).toContain('403')
    expect(problemOf(await peer.post(NEW_ORDER, plain('b.example')))).toBe('403 rejectedIdentifier')
    expect(events).toEqual([
      expect.objectContaining({ event: 'order-refused', reason: expect.stringContaining('b.example: not yours') }),
      { event: 'order-refused', ...(await about()), reason: 'not yours; b.example: not yours' },
    ])
  })

  it('a delegation that it does not have', async () => {
    const answer = await peer.post(NEW_ORDER, starOrder(world, `${BASE}/delegation/none`))
    expect(problemOf(answer)).toBe('403 unknownDelegation')
    expect(events).toMatchObject([{ event: 'order-refused', reason: 'this account has no such delegation' }])
  })

  it('a CSR that does not fit, with the order and every name that is wrong', async () => {
    const { finalize, id } = await placeOrder(world, delegation, peer)
    expect(problemOf(await peer.post(finalize, await csrFor(['b.example'])))).toBe('403 badCSR')
    expect(events).toMatchObject([{ event: 'order-refused', order: id, reason: expect.stringContaining('b.example') }])
  })

  it('and nothing of how it asked: a wrong message, a wrong moment, a look at what is not its own', async () => {
    const { url, finalize } = await placeOrder(world, delegation, peer)
    const other = (await enrol(world, 'd2')).peer
    await other.post(url, null)
    await peer.post(NEW_ORDER, { identifiers: 7 })
    await peer.post(finalize, { csr: '%' })
    expect(events).toEqual([])
  })

  it('twenty times an hour; an attacker does not fill the log', async () => {
    const ask = async (times: number) => {
      for (let n = 0; n < times; n++) await peer.post(NEW_ORDER, starOrder(world, `${BASE}/delegation/none`))
    }
    await ask(25)
    expect(events.length).toBe(20)
    expect(events.at(-1)!.reason).toContain('no more of this account are put on record within the hour')
    await world.clock.advance(3_600_000)
    await ask(1)
    expect(events.length).toBe(21)
  })
})

describe('what cannot be put on record', () => {
  it('is not done', async () => {
    await begin({ onDecision: () => Promise.reject(new Error('no log')) })
    expect(problemOf(await peer.post(peer.kid!, { status: 'deactivated' }))).toBe('500 serverInternal')
    expect((await world.accounts.find(account))!.row.status).toBe('valid')
  })
})
