import { beforeEach, describe, expect, it } from 'vitest'
import type { TransportRequest } from '../../../src/acme/client/exchange.ts'
import { openAcme } from '../../../src/acme/client/plumbing.ts'
import { memoryNonces } from '../../../src/acme/server/nonces.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { BASE, createWorld, type World } from '../world.ts'

const { signal } = new AbortController()

let world: World
let sent: TransportRequest[]

beforeEach(() => {
  world = createWorld()
  sent = []
})

async function open(more: Partial<Parameters<typeof openAcme>[0]> = {}) {
  const { kid, key } = world.addCustomer()
  return openAcme({
    directoryUrl: `${BASE}/directory`,
    accountKeyPem: await generateKey('p256'),
    externalAccount: { kid, hmacKey: key.toString('base64url') },
    transport: (request) => {
      sent.push(request)
      return world.transport(request)
    },
    userAgent: 'hearth/test',
    ...more,
  })
}

describe('openAcme', () => {
  it('opens an account with its external binding, and finds it again', async () => {
    const client = await open()
    const first = await client.newAccount({ contact: ['mailto:a@b.example'], termsOfServiceAgreed: true }, signal)
    expect(first).toMatchObject({
      created: true,
      account: { status: 'valid', delegations: `${first.url}/delegations` },
    })
    expect(client.accountUrl).toBe(first.url)
    expect(await client.newAccount({ onlyReturnExisting: true }, signal)).toMatchObject({
      created: false,
      url: first.url,
    })
  })

  it.each(['p256', 'p384', 'rsa2048'] as const)('signs with a %s key', async (type) => {
    const client = await open({ accountKeyPem: await generateKey(type) })
    await client.newAccount({}, signal)
    expect((await client.account(signal)).status).toBe('valid')
  })

  it('sends User-Agent with everything, and a content type with what it signs', async () => {
    await (await open()).account(signal)
    expect(sent.map(({ method, url }) => `${method} ${url.slice(BASE.length)}`)).toEqual([
      'GET /directory',
      'HEAD /new-nonce',
      'POST /new-account',
    ])
    expect(sent.every(({ headers }) => headers['User-Agent'] === 'hearth/test')).toBe(true)
    expect(sent.map(({ headers }) => headers['Content-Type'])).toEqual([undefined, undefined, 'application/jose+json'])
  })

  it('asks for one nonce, and then lives on those of the replies', async () => {
    const client = await open()
    for (let count = 0; count < 5; count++) await client.account(signal)
    await Promise.all([client.account(signal), client.account(signal)])
    expect(sent.filter(({ method }) => method === 'HEAD')).toHaveLength(2)
  })

  it('repeats what was refused for its nonce, and gives up in the end', async () => {
    const draws = [0, 0, 1]
    let share = 0.5
    const rejection = {
      get share() {
        return share
      },
      random: () => draws.shift() ?? 0.6,
    }
    world = createWorld({
      nonces: memoryNonces({ clock: new ManualClock(), capacity: 99, lifetimeMs: 1e6, rejection }),
    })
    const client = await open()
    await client.account(signal)
    expect(sent.filter(({ method }) => method === 'POST')).toHaveLength(3)
    expect(sent.filter(({ method }) => method === 'HEAD')).toHaveLength(1)
    share = 1
    await expect(client.account(signal)).rejects.toMatchObject({ type: 'badNonce' })
    expect(sent.filter(({ method }) => method === 'POST')).toHaveLength(14)
  })

  it('turns refusals into AcmeProblem', async () => {
    const client = await open({ externalAccount: { kid: 'nobody', hmacKey: 'AAAA' } })
    await expect(client.newAccount({}, signal)).rejects.toMatchObject({ type: 'unauthorized', status: 403 })
  })

  it('knows what does not make sense before an account is there', async () => {
    await expect((async () => (await open()).postAsGet(`${BASE}/order/1`, signal))()).rejects.toThrow(
      'newAccount comes',
    )
  })

  it('makes key authorizations (RFC 8555 §8.1, §8.4)', async () => {
    const client = await open()
    const challenge = { type: 'dns-01', url: 'https://ca.example/1', status: 'pending', token: 'tok' } as const
    expect(await client.keyAuthorization(challenge)).toMatch(/^tok\.[\w-]{43}$/)
    expect(await client.challengeTxt(challenge)).toMatch(/^[\w-]{43}$/)
  })

  it('notices a server without nonces or Location', async () => {
    const without = (name: string) =>
      open({
        transport: async (request) => {
          const reply = await world.transport(request)
          return { ...reply, headers: { ...reply.headers, [name]: undefined } }
        },
      })
    await expect((await without('replay-nonce')).account(signal)).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
    await expect((await without('location')).account(signal)).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
  })

  it('stops when it is told to', async () => {
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect((await open()).account(stop.signal)).rejects.toThrow('enough')
    expect(sent).toEqual([])
  })
})
