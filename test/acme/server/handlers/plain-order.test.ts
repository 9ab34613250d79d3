import { generateKeyPairSync } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { completeOrder } from '../../../../src/acme/server/order-state.ts'
import { ownNameOnly } from '../../../../src/operator/delegation/own-name.ts'
import { createCsr } from '../../../../src/pki/csr.ts'
import { generateKey } from '../../../../src/pki/key.ts'
import { SUBJECT_FIELD } from '../../../../src/pki/object-ids.ts'
import { ask, BASE, createWorld, csrFor, enrol, problemOf, RawPeer, type World } from '../../world.ts'

const NAME = 'cpe7.isp.example'
const keyPem = await generateKey('p256')

let world: World
let peer: RawPeer

/** As the operator has it: the id of a delegation is the device's name. */
beforeEach(async () => {
  const { delegated, options } = createWorld()
  world = createWorld({ delegations: options.delegations, preauthorized: ownNameOnly(options.delegations) })
  const enrolled = await enrol(world)
  peer = enrolled.peer
  delegated.set(NAME, { account: enrolled.account, names: [NAME] })
})

const place = (names: readonly string[] = [NAME], more: object = {}) =>
  peer.post(`${BASE}/new-order`, { identifiers: names.map((value) => ({ type: 'dns', value })), ...more })
const idOf = (url: string): string => url.slice(`${BASE}/order/`.length)

describe('an order for one’s own name without delegation', () => {
  it('is ready at once, with a valid authorization', async () => {
    const reply = await place()
    expect(reply.status).toBe(201)
    const { location } = reply
    expect(reply.json).toEqual({
      status: 'ready',
      expires: '2026-12-01T00:00:00Z',
      identifiers: [{ type: 'dns', value: NAME }],
      authorizations: [`${location}/authorization/0`],
      finalize: `${location}/finalize`,
    })
    const authz = await peer.post(`${location}/authorization/0`, null)
    expect(authz.json).toMatchObject({
      status: 'valid',
      expires: '2026-12-01T00:00:00Z',
      identifier: { type: 'dns', value: NAME },
      challenges: [
        { type: 'dns-01', status: 'valid', url: `${location}/challenge/0`, validated: '2026-11-24T00:00:00Z' },
      ],
    })
    expect(authz.json.challenges[0].token).toMatch(/^[\w-]{43}$/)
    expect(authz.json).not.toHaveProperty('wildcard')
  })

  it('shows its challenge to whoever asks for validation, with rel="up"', async () => {
    const { location } = await place()
    for (const payload of [{}, null]) {
      const reply = await peer.post(`${location}/challenge/0`, payload)
      expect([reply.status, reply.json.status]).toEqual([200, 'valid'])
      expect(reply.headers['Link']).toContain(`<${location}/authorization/0>;rel="up"`)
    }
  })

  it('is issued, and its certificate is named `certificate`; GET only if asked for', async () => {
    for (const [more, getAllowed] of [
      [{}, undefined],
      [{ 'allow-certificate-get': true }, true],
    ] as const) {
      const order = await place([NAME], more)
      const reply = await peer.post(String(order.json.finalize), await csrFor([NAME]))
      expect(reply.json.status).toBe('processing')
      expect(reply.json['allow-certificate-get']).toBe(getAllowed)
      await completeOrder(world.orders, idOf(order.location), 'c1')
      const done = (await peer.post(order.location, null)).json
      expect(done).toMatchObject({ status: 'valid', certificate: `${BASE}/cert/c1` })
      expect(done).not.toHaveProperty('star-certificate')
    }
    expect(world.processing).toHaveLength(2)
  })

  it('is for nothing else: rejectedIdentifier, each name with its subproblem', async () => {
    const reply = await place([NAME, 'cpe8.isp.example', `*.${NAME}`])
    expect(problemOf(reply)).toBe('403 rejectedIdentifier')
    expect(reply.json.subproblems.map(({ identifier }: any) => identifier.value)).toEqual([
      'cpe8.isp.example',
      `*.${NAME}`,
    ])
    expect(problemOf(await place(['isp.example']))).toBe('403 rejectedIdentifier')
  })

  it('may renew by itself, with plain GET or without', async () => {
    const autoRenewal = { 'end-date': '2026-12-20T00:00:00Z', lifetime: 86_400 }
    const reply = await place([NAME], { 'auto-renewal': autoRenewal })
    expect(reply.json['auto-renewal']).toMatchObject({ ...autoRenewal, 'allow-certificate-get': false })
    expect(problemOf(await place([NAME], { 'auto-renewal': autoRenewal, 'allow-certificate-get': true }))).toBe(
      '400 malformed',
    )
    expect(problemOf(await place([NAME], { 'allow-certificate-get': 'yes' }))).toBe('400 malformed')
  })

  it('ends when its authorization is deactivated (RFC 8555 §7.5.2)', async () => {
    const { location } = await place()
    const url = `${location}/authorization/0`
    expect(problemOf(await peer.post(url, { status: 'valid' }))).toBe('400 malformed')
    for (let count = 0; count < 2; count++)
      expect((await peer.post(url, { status: 'deactivated' })).json.status).toBe('deactivated')
    expect((await peer.post(location, null)).json.status).toBe('invalid')
  })

  it('has authorizations for its own account only, as many as names', async () => {
    const { location } = await place()
    expect(problemOf(await peer.post(`${location}/authorization/1`, null))).toBe('404 malformed')
    const other = (await enrol(world, 'd2')).peer
    expect(problemOf(await other.post(`${location}/authorization/0`, null))).toBe('403 unauthorized')
    expect((await ask(world.server, 'GET', `${location}/authorization/0`)).status).toBe(405)
  })
})

describe('RFC 8555 §7.4 a CSR without template', () => {
  /** 400 badCSR, and the order stays as it is. */
  async function refuse(der: Uint8Array): Promise<any> {
    const { location, json } = await place()
    const reply = await peer.post(String(json.finalize), { csr: Buffer.from(der).toString('base64url') })
    expect(problemOf(reply)).toBe('400 badCSR')
    expect((await peer.post(location, null)).json.status).toBe('ready')
    return reply.json
  }

  it('has exactly the names of the order', async () => {
    await refuse(await createCsr({ keyPem, dnsNames: [NAME, 'cpe8.isp.example'] }))
    await refuse(await createCsr({ keyPem, dnsNames: ['cpe8.isp.example'] }))
    await refuse(await createCsr({ keyPem, dnsNames: [NAME], ipAddresses: ['192.0.2.1'] }))
    await refuse(await createCsr({ keyPem, dnsNames: [NAME], emails: ['a@isp.example'] }))
  })

  it('has a common name only if it is one of them', async () => {
    const named = (value: string) =>
      createCsr({ keyPem, dnsNames: [NAME], subject: [[{ oid: SUBJECT_FIELD.commonName, value }]] })
    await refuse(await named('cpe8.isp.example'))
    const { json } = await place()
    const csr = Buffer.from(await named(NAME.toUpperCase())).toString('base64url')
    expect((await peer.post(String(json.finalize), { csr })).json.status).toBe('processing')
  })

  it('has a key that a CA takes, and not that of the account', async () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey
    await refuse(await createCsr({ keyPem: rsa.export({ type: 'pkcs8', format: 'pem' }).toString(), dnsNames: [NAME] }))
    await refuse(await createCsr({ keyPem: await generateKey('ed25519'), dnsNames: [NAME] }))
    expect((await refuse(await createCsr({ keyPem: peer.keyPem, dnsNames: [NAME] }))).detail).toContain('account key')
  })

  it('is no use when the account lost the name meanwhile', async () => {
    const { json } = await place()
    world = createWorld({
      ...world.options,
      preauthorized: async () => [{ kind: 'rejectedIdentifier', detail: 'lost' }],
    })
    const other = new RawPeer(world.server, peer.keyPem)
    other.kid = peer.kid
    expect(problemOf(await other.post(String(json.finalize), await csrFor([NAME])))).toBe('403 unauthorized')
  })
})

describe('draft-ietf-acme-profiles', () => {
  it('are listed in the directory, echoed, and invalidProfile when unknown', async () => {
    world = createWorld({ profiles: { short: 'six days' }, preauthorized: async () => [] })
    ;({ peer } = await enrol(world))
    expect((await ask(world.server, 'GET', `${BASE}/directory`)).json.meta.profiles).toEqual({ short: 'six days' })
    expect((await place([NAME], { profile: 'short' })).json.profile).toBe('short')
    for (const profile of ['long', 'toString', 7])
      expect(problemOf(await place([NAME], { profile }))).toBe('400 invalidProfile')
  })
})
