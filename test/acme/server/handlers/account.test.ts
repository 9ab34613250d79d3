import { beforeEach, describe, expect, it } from 'vitest'
import { createAcmeServer } from '../../../../src/acme/server/server.ts'
import { ask, BASE, createWorld, enrol, placeOrder, problemOf, RawPeer, type World } from '../../world.ts'

const NEW_ACCOUNT = `${BASE}/new-account`

let world: World
let peer: RawPeer

beforeEach(async () => {
  world = createWorld()
  peer = await RawPeer.create(world.server)
})

/** newAccount with a fresh customer key. */
function register(payload: object = {}, customer = world.addCustomer()) {
  const externalAccountBinding = peer.binding(customer.kid, customer.key, NEW_ACCOUNT)
  return peer.post(NEW_ACCOUNT, { externalAccountBinding, ...payload }, { by: 'jwk' })
}

describe('RFC 8555 §7.3 newAccount', () => {
  it('creates an account with its lists', async () => {
    const reply = await register({ contact: ['mailto:noc@isp.example'], termsOfServiceAgreed: true, orders: 'ignored' })
    const url = reply.location
    expect(reply.status).toBe(201)
    expect(reply.headers['Content-Type']).toBe('application/json')
    expect(reply.headers['Link']).toEqual([`<${BASE}/directory>;rel="index"`])
    expect(reply.json).toMatchObject({
      status: 'valid',
      contact: ['mailto:noc@isp.example'],
      termsOfServiceAgreed: true,
      orders: `${url}/orders`,
      delegations: `${url}/delegations`,
    })
  })

  it('returns the account of a known key, whatever else is sent', async () => {
    const first = await register()
    const again = await peer.post(NEW_ACCOUNT, { contact: ['tel:1'] }, { by: 'jwk' })
    expect(again.status).toBe(200)
    expect(again.headers['Location']).toBe(first.headers['Location'])
  })

  it('makes one account of two requests at the same time', async () => {
    const customer = world.addCustomer()
    const replies = await Promise.all([register({}, customer), register({}, customer), register({}, customer)])
    expect(new Set(replies.map(({ headers }) => headers['Location'])).size).toBe(1)
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 200, 201])
  })

  it('goes on where a crash between binding and account left off', async () => {
    const customer = world.addCustomer()
    const failing = createWorld({
      accountKeys: world.accountKeys,
      externalAccounts: {
        find: async () => world.customers.get(customer.kid),
        bind: () => Promise.reject(new Error()),
      },
    })
    const crashed = new RawPeer(failing.server, peer.keyPem)
    const binding = crashed.binding(customer.kid, customer.key, NEW_ACCOUNT)
    const lost = await crashed.post(NEW_ACCOUNT, { externalAccountBinding: binding }, { by: 'jwk' })
    expect(problemOf(lost)).toBe('500 serverInternal')
    expect((await register({}, customer)).status).toBe(201)
  })

  it('looks an account up with onlyReturnExisting', async () => {
    const missing = await peer.post(NEW_ACCOUNT, { onlyReturnExisting: true }, { by: 'jwk' })
    expect(problemOf(missing)).toBe('400 accountDoesNotExist')
    const { headers } = await register()
    const found = await peer.post(NEW_ACCOUNT, { onlyReturnExisting: true }, { by: 'jwk' })
    expect([found.status, found.headers['Location']]).toEqual([200, headers['Location']])
  })

  it('wants the key itself, not an account', async () => {
    peer.kid = `${BASE}/account/none`
    expect(problemOf(await peer.post(NEW_ACCOUNT, {}))).toBe('400 malformed')
  })

  it.each([
    ['tel:+15551234', '400 unsupportedContact'],
    ['mailto:', '400 invalidContact'],
    ['mailto:a@b.example,c@d.example', '400 invalidContact'],
    ['mailto:a@b.example?subject=x', '400 invalidContact'],
    ['mailto:not an address', '400 invalidContact'],
    [7, '400 malformed'],
  ])('checks the contact %s: %s', async (contact, verdict) => {
    expect(problemOf(await register({ contact: [contact] }))).toBe(verdict)
    expect(problemOf(await register({ contact }))).toBe('400 malformed')
  })

  it('asks for agreement to the terms of service', async () => {
    world = createWorld({ termsOfService: 'https://isp.example/terms' })
    peer = await RawPeer.create(world.server)
    const reply = await register()
    expect(problemOf(reply)).toBe('403 userActionRequired')
    expect(reply.headers['Link']).toContain('<https://isp.example/terms>;rel="terms-of-service"')
    expect((await register({ termsOfServiceAgreed: true })).status).toBe(201)
  })
})

describe('RFC 8555 §7.3.4 external account binding', () => {
  it.each([
    ['HS256', 'sha256'],
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
  ])('takes %s and shows the binding in the account', async (alg, hash) => {
    const { kid, key } = world.addCustomer()
    const externalAccountBinding = peer.binding(kid, key, NEW_ACCOUNT, { header: { alg }, hash })
    const reply = await peer.post(NEW_ACCOUNT, { externalAccountBinding }, { by: 'jwk' })
    expect(reply.status).toBe(201)
    expect(reply.json.externalAccountBinding).toEqual(externalAccountBinding)
  })

  it('is required', async () => {
    expect(problemOf(await peer.post(NEW_ACCOUNT, {}, { by: 'jwk' }))).toBe('403 externalAccountRequired')
  })

  it.each([
    ['another algorithm', { header: { alg: 'ES256' } }, '400 malformed'],
    ['no algorithm', { header: { alg: undefined } }, '400 malformed'],
    ['no kid', { header: { kid: undefined } }, '400 malformed'],
    ['a nonce', { header: { nonce: 'AAAA' } }, '400 malformed'],
    ['another url', { header: { url: `${BASE}/new-order` } }, '400 malformed'],
    ['an unknown kid', { header: { kid: 'nobody' } }, '403 unauthorized'],
    ['another key as payload', { payload: { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' } }, '400 malformed'],
    ['a payload that is no key', { payload: 'text' }, '400 malformed'],
  ])('is refused with %s', async (_, tweaks, verdict) => {
    const { kid, key } = world.addCustomer()
    const externalAccountBinding = peer.binding(kid, key, NEW_ACCOUNT, tweaks)
    expect(problemOf(await peer.post(NEW_ACCOUNT, { externalAccountBinding }, { by: 'jwk' }))).toBe(verdict)
  })

  it('is refused with a wrong MAC, in the same words as an unknown kid', async () => {
    const { kid } = world.addCustomer()
    const wrong = await register({}, { kid, key: Buffer.alloc(32) })
    const unknown = await register({}, { kid: 'nobody', key: Buffer.alloc(32) })
    expect(problemOf(wrong)).toBe('403 unauthorized')
    expect(wrong.json.detail).toBe(unknown.json.detail)
  })

  it('is refused when it is no JWS', async () => {
    for (const externalAccountBinding of [{}, [], 'text', null]) {
      expect(problemOf(await register({ externalAccountBinding }))).toBe('400 malformed')
    }
  })

  it('lets a kid open one account only', async () => {
    const customer = world.addCustomer()
    expect((await register({}, customer)).status).toBe(201)
    peer = await RawPeer.create(world.server)
    expect(problemOf(await register({}, customer))).toBe('403 unauthorized')
    expect((await register()).status).toBe(201)
  })

  it('lets one of two rivals win the kid', async () => {
    const { kid, key } = world.addCustomer()
    const rivals = await Promise.all([RawPeer.create(world.server), RawPeer.create(world.server)])
    const replies = await Promise.all(
      rivals.map((rival) =>
        rival.post(NEW_ACCOUNT, { externalAccountBinding: rival.binding(kid, key, NEW_ACCOUNT) }, { by: 'jwk' }),
      ),
    )
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 403])
  })
})

describe('a server without external accounts', () => {
  it('says so in its directory, and ignores a binding', async () => {
    const { externalAccounts: _, ...open } = world.options
    const server = createAcmeServer(open)
    const visitor = await RawPeer.create(server)
    const { json } = await ask(server, 'GET', `${BASE}/directory`)
    expect(json.meta.externalAccountRequired).toBe(false)
    const reply = await visitor.post(NEW_ACCOUNT, { externalAccountBinding: 'x' }, { by: 'jwk' })
    expect(reply.status).toBe(201)
    expect(reply.json).not.toHaveProperty('externalAccountBinding')
  })
})

describe('RFC 8555 §7.3.2 account', () => {
  beforeEach(async () => {
    peer = (await enrol(world)).peer
  })

  it('is read with POST-as-GET', async () => {
    const reply = await peer.post(peer.kid!, null)
    expect([reply.status, reply.json.status]).toEqual([200, 'valid'])
  })

  it('changes its contact and nothing else', async () => {
    const reply = await peer.post(peer.kid!, { contact: ['mailto:new@isp.example'], orders: 'x', jwk: {} })
    expect(reply.json.contact).toEqual(['mailto:new@isp.example'])
    expect(problemOf(await peer.post(peer.kid!, { contact: ['tel:1'] }))).toBe('400 unsupportedContact')
    expect(problemOf(await peer.post(peer.kid!, { status: 'revoked' }))).toBe('400 malformed')
    expect((await peer.post(peer.kid!, null)).json.contact).toEqual(['mailto:new@isp.example'])
  })

  it('is closed to another account', async () => {
    const other = (await enrol(world)).peer
    for (const url of [peer.kid!, `${peer.kid}/orders`, `${peer.kid}/delegations`]) {
      expect(problemOf(await other.post(url, null))).toBe('403 unauthorized')
    }
  })

  it('answers 401 to everything once deactivated (§7.3.6)', async () => {
    const closed = await peer.post(peer.kid!, { status: 'deactivated' })
    expect([closed.status, closed.json.status]).toEqual([200, 'deactivated'])
    expect(problemOf(await peer.post(peer.kid!, null))).toBe('401 unauthorized')
    expect(problemOf(await peer.post(`${BASE}/new-order`, {}))).toBe('401 unauthorized')
    expect(problemOf(await peer.post(NEW_ACCOUNT, {}, { by: 'jwk' }))).toBe('401 unauthorized')
  })
})

describe('RFC 8555 §7.1.2.1 orders list', () => {
  it('comes in pages and leaves invalid orders out', async () => {
    world = createWorld({ pageSize: 2 })
    const { peer: owner, delegation } = await enrol(world)
    const placed: string[] = []
    for (let count = 0; count < 5; count++) placed.push((await placeOrder(world, delegation, owner)).url)
    const dropped = placed.pop()!
    const stored = (await world.orders.find(dropped.slice(`${BASE}/order/`.length)))!
    await world.orders.replace(stored, { ...stored.row, status: 'invalid' })

    const listed: string[] = []
    let page: string | undefined = `${owner.kid}/orders`
    let pages = 0
    for (; page !== undefined; pages++) {
      const { json, headers } = await owner.post(page, null)
      listed.push(...json.orders)
      const links = [headers['Link'] ?? []].flat()
      page = links.find((link) => link.endsWith('rel="next"'))?.match(/<(.*)>/)?.[1]
    }
    expect(listed.sort()).toEqual(placed.sort())
    expect(pages).toBe(3)
  })

  it('refuses a cursor that is not one', async () => {
    const { peer: owner } = await enrol(world)
    expect(problemOf(await owner.post(`${owner.kid}/orders?cursor=%2F`, null))).toBe('400 malformed')
  })
})
