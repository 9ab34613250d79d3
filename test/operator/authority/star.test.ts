import { beforeEach, describe, expect, it } from 'vitest'
import type { AcmeTransport } from '../../../src/acme/client/exchange.ts'
import type { AcmeServerOptions } from '../../../src/acme/server/options.ts'
import { completeOrder, failOrder } from '../../../src/acme/server/order-state.ts'
import { type AcmeAccount, acmeAccount } from '../../../src/operator/authority/acme-account.ts'
import type { Attempt, ForwardedOrder, ForwardingAuthority } from '../../../src/operator/authority/authority.ts'
import { delegationAuthority, starAuthority } from '../../../src/operator/authority/star.ts'
import { createCsr } from '../../../src/pki/csr.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { patiently } from '../../acme/client/patience.ts'
import { BASE, createWorld, DAY_S, NAME, type World } from '../../acme/world.ts'
import { silentLog } from '../../support/log.ts'

const { signal } = new AbortController()
const PROBLEM = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'no', status: 500 }
const dns = { present: async () => {}, cleanup: async () => {} }

let world: World
let account: AcmeAccount
let work: (orderId: string) => Promise<unknown>
/** What the other side is made to answer instead. */
let altered: (path: string, json: any) => object | undefined
let placed: (string | undefined)[]
let newOrders: any[]
let keysMade: number

/** Our own ACME server, which does STAR and delegation itself, stands for the CA and for the next delegation server. */
function start(overrides: Partial<AcmeServerOptions> = {}): void {
  placed = []
  newOrders = []
  keysMade = 0
  altered = () => undefined
  work = (id) => completeOrder(world.orders, id, 'c1')
  world = createWorld({
    onProcessing: async (id) => void world.clock.sleep(3000).then(() => work(id)),
    ...overrides,
  })
  const { kid, key } = world.addCustomer()
  const transport: AcmeTransport = async (request) => {
    const path = request.url.slice(BASE.length)
    const response = await world.transport(request)
    if (path === '/new-order') {
      const { payload } = JSON.parse(Buffer.from(request.body!).toString())
      newOrders.push(JSON.parse(Buffer.from(payload, 'base64url').toString()))
    }
    const isJson = String(response.headers['content-type'] ?? response.headers['Content-Type']).includes('json')
    const instead = isJson ? altered(path, JSON.parse(Buffer.from(response.body).toString())) : undefined
    return instead ? { ...response, body: Buffer.from(JSON.stringify(instead)) } : response
  }
  account = acmeAccount({
    id: 'next',
    directoryUrl: `${BASE}/directory`,
    externalAccount: { kid, hmacKey: key.toString('base64url') },
    // A file does no better for two who come at the same time.
    keep: async (_name, read) => {
      keysMade++
      return read(await generateKey('p256'))
    },
    transport,
  })
}
beforeEach(() => start())

const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  signal,
  placed: async (order) => void placed.push(order),
  ...more,
})
async function orderOf({ star = true } = {}): Promise<ForwardedOrder> {
  const csr = await createCsr({ keyPem: await generateKey('p256'), dnsNames: [NAME] })
  const endMs = world.clock.nowMs() + 90 * DAY_S * 1000
  const autoRenewal = { endMs, lifetimeS: 7 * DAY_S, lifetimeAdjustS: DAY_S }
  return { names: [NAME], csr, ...(star ? { autoRenewal } : {}) }
}
async function forward(to: ForwardingAuthority, order?: ForwardedOrder, more?: Partial<Attempt>) {
  return patiently(world.clock, to.forward(order ?? (await orderOf()), attempt(more)))
}

describe('a CA that does STAR', () => {
  let ca: ForwardingAuthority
  beforeEach(() => {
    start({ preauthorized: async () => [], ownerMayCancel: true })
    ca = starAuthority({ id: 'next', account, dns, clock: world.clock, log: silentLog })
  })

  it('gets the order with its terms, and its URL is the result', async () => {
    const order = await orderOf()
    const { orderUrl, certificateUrl } = await forward(ca, order)
    expect(certificateUrl).toBe(`${BASE}/cert/c1`)
    expect(placed).toEqual([undefined, orderUrl])
    expect(newOrders).toEqual([
      {
        identifiers: [{ type: 'dns', value: NAME }],
        'auto-renewal': {
          'end-date': new Date(order.autoRenewal!.endMs).toISOString().replace('.000Z', 'Z'),
          lifetime: 7 * DAY_S,
          'lifetime-adjust': DAY_S,
          'allow-certificate-get': true,
        },
      },
    ])
  })

  it('gets an order that does not renew with the permission at the top', async () => {
    const { certificateUrl } = await forward(ca, await orderOf({ star: false }))
    expect(certificateUrl).toBe(`${BASE}/cert/c1`)
    expect(newOrders).toEqual([{ identifiers: [{ type: 'dns', value: NAME }], 'allow-certificate-get': true }])
  })

  it('goes on with the order that was placed', async () => {
    const { orderUrl } = await forward(ca)
    const again = await forward(ca, undefined, { order: orderUrl, placingSinceMs: 1 })
    expect(again.orderUrl).toBe(orderUrl)
    expect(newOrders).toHaveLength(1)
  })

  it('finds the order whose URL was lost', async () => {
    const crash = new Error('crash')
    const lost = attempt({ placed: (order) => (order === undefined ? Promise.resolve() : Promise.reject(crash)) })
    await expect(patiently(world.clock, ca.forward(await orderOf(), lost))).rejects.toBe(crash)
    await forward(ca, undefined, { placingSinceMs: 1 })
    expect(newOrders).toHaveLength(1)
  })

  it('CA without flag: nothing is ordered', async () => {
    altered = (path, { meta, ...links }) =>
      path === '/directory' ? { ...links, meta: { ...meta, 'auto-renewal': undefined } } : undefined
    await expect(forward(ca)).rejects.toMatchObject({ code: 'AUTHORITY_WITHOUT_GET' })
    expect(newOrders).toEqual([])
    expect(placed).toEqual([])
  })

  it('CA echoing false: the CSR is not sent', async () => {
    altered = (path, order) =>
      path === '/new-order'
        ? { ...order, 'auto-renewal': { ...order['auto-renewal'], 'allow-certificate-get': false } }
        : undefined
    await expect(forward(ca)).rejects.toMatchObject({ code: 'AUTHORITY_WITHOUT_GET' })
    expect((await world.orders.list({ limit: 5 }))[0]!.row).toMatchObject({ status: 'ready' })
  })

  it('CA order invalid: its reason is the fault', async () => {
    work = (id) => failOrder(world.orders, id, PROBLEM)
    await expect(forward(ca)).rejects.toMatchObject({ code: 'ACME_REFUSED', message: 'serverInternal: no' })
  })

  it('is told to cancel, also twice', async () => {
    const { orderUrl } = await forward(ca)
    await ca.cancel(orderUrl, signal)
    await expect(ca.cancel(orderUrl, signal)).resolves.toBeUndefined()
    expect((await world.orders.list({ limit: 5 }))[0]!.row).toMatchObject({ status: 'canceled' })
  })
})

describe('the next delegation server (RFC 9115 §2.4)', () => {
  it('gets the order with a delegation of its own, and its URL is passed on unchanged', async () => {
    const { url } = await account.with((client) => client.newAccount({}, signal))
    world.delegated.set('d9', { account: url.slice(`${BASE}/account/`.length), names: [NAME] })
    const proxy = delegationAuthority({ id: 'next', account, clock: world.clock, log: silentLog })
    expect(await forward(proxy)).toMatchObject({ certificateUrl: `${BASE}/cert/c1` })
    expect(newOrders).toMatchObject([{ delegation: `${BASE}/delegation/d9`, 'auto-renewal': { lifetime: 7 * DAY_S } }])
  })

  it('has none for this name', async () => {
    const proxy = delegationAuthority({ id: 'next', account, clock: world.clock, log: silentLog })
    await expect(forward(proxy)).rejects.toMatchObject({ code: 'DELEGATION_MISSING' })
  })
})

it('the account is known by its URL once it is open', async () => {
  expect(await account.url(signal)).toBeUndefined()
  const { url } = await account.with((client) => client.newAccount({}, signal))
  expect(await account.url(signal)).toBe(url)
})

it('work that begins at the same time shares one key and one account', async () => {
  const urls = [1, 2, 3].map(() => account.with(async (client) => (await client.newAccount({}, signal)).url))
  expect(new Set(await Promise.all(urls)).size).toBe(1)
  expect(keysMade).toBe(1)
})

it('an account that the authority has forgotten is opened anew', async () => {
  const { url } = await account.with((client) => client.newAccount({}, signal))
  for (const table of [world.accounts, world.accountKeys])
    for (const seen of await table.list({ limit: 5 })) await table.remove(seen as never)
  for (const customer of world.customers.values()) delete customer.boundTo
  const ca = starAuthority({ id: 'next', account, dns, clock: world.clock, log: silentLog })
  await expect(forward(ca)).rejects.toMatchObject({ code: 'ACME_REFUSED' }) // it sells no plain orders
  expect(await account.url(signal)).not.toBe(url)
})
