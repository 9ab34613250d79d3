import { beforeEach, describe, expect, it } from 'vitest'
import { obtainWithDns01 } from '../../../src/acme/client/certify.ts'
import type { AcmeTransport } from '../../../src/acme/client/exchange.ts'
import { fetchCertificate, obtainDelegated } from '../../../src/acme/client/obtain.ts'
import { openAcme } from '../../../src/acme/client/plumbing.ts'
import { AcmeProblem } from '../../../src/acme/problem.ts'
import type { AcmeServerOptions } from '../../../src/acme/server/options.ts'
import { completeOrder, failOrder } from '../../../src/acme/server/order-state.ts'
import { seededRandom } from '../../../src/core/seeded-random.ts'
import { createCsr } from '../../../src/pki/csr.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { BASE, createWorld, DAY_S, NAME, templateFor, type World } from '../world.ts'
import { patiently } from './patience.ts'
import { CHAIN, pretendAuthority } from './pretend-authority.ts'

const PROBLEM = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'no authority could issue', status: 500 }
const { signal } = new AbortController()

describe('obtainDelegated (RFC 9115, router to operator)', () => {
  let world: World
  let transport: AcmeTransport
  let work: (orderId: string) => Promise<unknown>
  let templates: unknown[]

  beforeEach(() => {
    start()
  })

  /** A server whose worker takes some seconds for what `work` then does. */
  function start(overrides: Partial<AcmeServerOptions> = {}) {
    templates = []
    work = (id) => completeOrder(world.orders, id, 'c1')
    world = createWorld({
      onProcessing: async (id) => void world.clock.sleep(5000).then(() => work(id)),
      ...overrides,
    })
    transport = world.transport
  }

  async function obtain(more: { star?: boolean; name?: string; delegations?: number; timeoutMs?: number } = {}) {
    const { star = true, name = NAME, delegations = 1, timeoutMs = 60_000 } = more
    const { kid, key } = world.addCustomer()
    const client = await openAcme({
      directoryUrl: `${BASE}/directory`,
      accountKeyPem: await generateKey('p256'),
      externalAccount: { kid, hmacKey: key.toString('base64url') },
      transport: (request) => transport(request),
      userAgent: 'hearth/test',
    })
    const { url } = await client.newAccount({}, signal)
    const account = url.slice(`${BASE}/account/`.length)
    for (let count = 1; count < delegations; count++)
      world.delegated.set(`a${count}`, { account, names: ['tv.example'] })
    if (delegations > 0) world.delegated.set('z', { account, names: [NAME] })
    const order = obtainDelegated({
      client,
      name,
      autoRenewal: star ? { lifetimeS: 7 * DAY_S, endMs: world.clock.nowMs() + 90 * DAY_S * 1000 } : undefined,
      createCsr: async (template) => {
        templates.push(template)
        return createCsr({ keyPem: await generateKey('p256'), dnsNames: [NAME] })
      },
      clock: world.clock,
      signal,
      timeoutMs,
    })
    return patiently(world.clock, order)
  }

  it('obtains a STAR certificate', async () => {
    const endMs = world.clock.nowMs() + 90 * DAY_S * 1000
    const { orderUrl, ...rest } = await obtain()
    expect(orderUrl).toMatch(/^https:\/\/acme\.isp\.example\/a\/order\/[\w-]{22}$/)
    expect(rest).toEqual({
      certificateUrl: new URL(`${BASE}/cert/c1`),
      star: true,
      autoRenewal: { endMs, lifetimeS: 7 * DAY_S, lifetimeAdjustS: 0 },
    })
    expect(templates).toEqual([templateFor([NAME])])
  })

  it('obtains a certificate that does not renew by itself', async () => {
    expect(await obtain({ star: false })).toMatchObject({ star: false, certificateUrl: new URL(`${BASE}/cert/c1`) })
  })

  it('finds its name on the third page of delegations, whatever its case and final dot', async () => {
    start({ pageSize: 2 })
    expect(await obtain({ delegations: 5, name: 'CPE7.isp.example.' })).toMatchObject({ star: true })
  })

  it('reports a name without delegation', async () => {
    await expect(obtain({ delegations: 0 })).rejects.toMatchObject({ code: 'DELEGATION_MISSING' })
    await expect(obtain({ name: 'tv.isp.example' })).rejects.toMatchObject({ code: 'DELEGATION_MISSING' })
  })

  it('insists on meta.delegation-enabled', async () => {
    changeReplies('/directory', (directory) => ({ ...directory, meta: {} }))
    await expect(obtain()).rejects.toMatchObject({ code: 'DELEGATION_NOT_OFFERED' })
  })

  it('insists on meta.auto-renewal for STAR only', async () => {
    changeReplies('/directory', (directory) => ({ ...directory, meta: { 'delegation-enabled': true } }))
    await expect(obtain()).rejects.toMatchObject({ code: 'DELEGATION_NOT_OFFERED' })
    expect(await obtain({ star: false })).toMatchObject({ star: false })
  })

  it('stops at an order that wants authorizations', async () => {
    changeReplies('/new-order', (order) => ({ ...order, authorizations: [`${BASE}/authz/1`] }))
    await expect(obtain()).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
  })

  it('stops at an order that lost its renewal, or the GET flag', async () => {
    changeReplies('/new-order', (order) => ({ ...order, 'auto-renewal': undefined }))
    await expect(obtain()).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
    changeReplies('/new-order', (order) => ({ ...order, 'allow-certificate-get': false }))
    await expect(obtain({ star: false })).rejects.toMatchObject({ code: 'DELEGATION_WITHOUT_GET' })
  })

  it('tells an order that failed from one that no authority can serve (RFC 9115 §2.2)', async () => {
    work = (id) => failOrder(world.orders, id, PROBLEM)
    await expect(obtain()).rejects.toMatchObject({
      code: 'ACME_REFUSED',
      message: 'serverInternal: no authority could issue',
    })
    work = (id) => failOrder(world.orders, id, PROBLEM, { clearGetFlag: true })
    await expect(obtain()).rejects.toMatchObject({ code: 'DELEGATION_WITHOUT_GET' })
  })

  it('reports a CSR that was refused with every subproblem', async () => {
    world.csrProblems.push({ kind: 'rejectedIdentifier', detail: 'not assigned', identifier: NAME })
    await expect(obtain()).rejects.toMatchObject({
      code: 'ACME_REFUSED',
      message: expect.stringContaining(`${NAME}: not assigned`),
      facts: { type: 'badCSR', status: 403 },
      cause: expect.any(AcmeProblem),
    })
  })

  it('gives up after its time, and says so', async () => {
    work = async () => undefined
    await expect(obtain({ timeoutMs: 30_000 })).rejects.toMatchObject({ code: 'ACME_TIMEOUT' })
  })

  function changeReplies(path: string, change: (body: any) => object): void {
    transport = async (request) => {
      const reply = await world.transport(request)
      if (!request.url.endsWith(path) || reply.status >= 300) return reply
      return { ...reply, body: Buffer.from(JSON.stringify(change(JSON.parse(Buffer.from(reply.body).toString())))) }
    }
  }
})

describe('fetchCertificate (RFC 8739 §3.4)', () => {
  const url = new URL(`${BASE}/cert/c1`)
  let world: World

  beforeEach(() => {
    world = createWorld()
    const nowMs = world.clock.nowMs()
    const dates = { notBeforeMs: nowMs, notAfterMs: nowMs + 9e6, nextChangeMs: nowMs + 5e6 }
    world.published.set('c1', { account: 'a', pem: CHAIN, getAllowed: true, ...dates })
  })

  it('brings the chain, its dates and a tag to ask with next time', async () => {
    const fetched = await fetchCertificate(world.transport, url, signal)
    const nowMs = world.clock.nowMs()
    expect(fetched).toMatchObject({ kind: 'certificate', pem: CHAIN, notBeforeMs: nowMs, notAfterMs: nowMs + 9e6 })
    const etag = fetched.kind === 'certificate' ? fetched.etag : undefined
    expect(await fetchCertificate(world.transport, url, signal, etag)).toEqual({ kind: 'unchanged' })
  })

  it.each(['autoRenewalCanceled', 'autoRenewalExpired'] as const)('throws the problem %s', async (ended) => {
    world.published.set('c1', { ...world.published.get('c1')!, ended })
    await expect(fetchCertificate(world.transport, url, signal)).rejects.toMatchObject({ type: ended, status: 403 })
  })

  it('takes nothing but a PEM chain', async () => {
    const page: AcmeTransport = async () => ({
      status: 200,
      headers: { 'content-type': 'text/html' },
      body: Buffer.from('<p>'),
    })
    await expect(fetchCertificate(page, url, signal)).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
    const always304: AcmeTransport = async () => ({ status: 304, headers: {}, body: Buffer.alloc(0) })
    await expect(fetchCertificate(always304, url, signal)).rejects.toMatchObject({ code: 'ACME_PROTOCOL' })
  })
})

describe('obtainWithDns01 (RFC 8555 §8.4, operator to authority)', () => {
  type Authority = ReturnType<typeof pretendAuthority>

  async function obtain(
    authority: Authority,
    more: { names?: string[]; dns?: Authority['dns']; profile?: string; notAfterMs?: number; replaces?: string } = {},
  ) {
    const clock = new ManualClock()
    const { names = [NAME], dns = authority.dns, ...rest } = more
    const client = await openAcme({
      directoryUrl: authority.directoryUrl,
      accountKeyPem: await generateKey('p256'),
      transport: authority.transport,
      userAgent: 'hearth/test',
    })
    const csr = await createCsr({ keyPem: await generateKey('p256'), dnsNames: names })
    return patiently(clock, obtainWithDns01({ client, names, csr, dns, clock, signal, timeoutMs: 120_000, ...rest }))
  }

  it('shows control of every name and brings the chain', async () => {
    const authority = pretendAuthority()
    expect(await obtain(authority, { names: [NAME, `*.${NAME}`, 'b.example'] })).toBe(CHAIN)
    expect(authority.cleaned.map((record) => record.split(' ')[0])).toEqual([
      `_acme-challenge.${NAME}`,
      `_acme-challenge.${NAME}`,
      '_acme-challenge.b.example',
    ])
    expect(new Set(authority.cleaned).size).toBe(3)
    expect(authority.records).toEqual([])
  })

  it.each([1, 2, 3, 4, 5])('survives an authority that refuses 15 %% of good nonces (seed %i)', async (seed) => {
    expect(await obtain(pretendAuthority({ random: seededRandom(seed) }), { names: [NAME, 'b.example'] })).toBe(CHAIN)
  })

  it('shows nothing for a name whose authorization is still valid', async () => {
    const authority = pretendAuthority({ validNames: [NAME] })
    await obtain(authority, { names: [NAME, 'b.example'] })
    expect(authority.cleaned).toHaveLength(1)
    const reused = pretendAuthority({ validNames: [NAME] })
    expect(await obtain(reused)).toBe(CHAIN)
    expect(reused.log.filter((path) => path.startsWith('/authz'))).toEqual([])
  })

  it('passes profile and notAfter on', async () => {
    const authority = pretendAuthority()
    await obtain(authority, { profile: 'shortlived', notAfterMs: Date.UTC(2026, 11, 1) })
    expect(authority.order.payload).toMatchObject({ profile: 'shortlived', notAfter: '2026-12-01T00:00:00Z' })
  })

  it('names the profiles there are when it knows none of that name', async () => {
    const authority = pretendAuthority()
    await expect(obtain(authority, { profile: 'shortlive' })).rejects.toMatchObject({
      code: 'ACME_REFUSED',
      message: 'the authority has no certificate profile shortlive; it has classic, shortlived',
    })
    expect(authority.log).not.toContain('/new-order')
  })

  it('says which certificate it replaces, and orders without that when another one has (RFC 9773 §5)', async () => {
    const authority = pretendAuthority()
    await obtain(authority, { replaces: 'aYhb.AIdl' })
    expect(authority.order.payload).toMatchObject({ replaces: 'aYhb.AIdl' })

    let refusals = 0
    const body = JSON.stringify({ type: 'urn:ietf:params:acme:error:alreadyReplaced', detail: 'by you', status: 409 })
    const refusal = { status: 409, headers: { 'content-type': 'application/problem+json' }, body: Buffer.from(body) }
    const other = pretendAuthority({
      replyTo: (path) => (path === '/new-order' && refusals++ === 0 ? refusal : undefined),
    })
    expect(await obtain(other, { replaces: 'aYhb.AIdl' })).toBe(CHAIN)
    expect(other.order.payload).not.toHaveProperty('replaces')
  })

  it('removes its records when the authority does not accept them', async () => {
    const authority = pretendAuthority()
    const dns = { ...authority.dns, present: async () => undefined }
    await expect(obtain(authority, { dns })).rejects.toMatchObject({
      code: 'ACME_REFUSED',
      message: 'dns: no TXT record',
    })
    expect(authority.cleaned).toHaveLength(1)
  })

  it('removes what it may have written when the name server fails half way', async () => {
    const authority = pretendAuthority()
    let calls = 0
    const present: Authority['dns']['present'] = async (...record) => {
      if (++calls === 2) throw new Error('SERVFAIL')
      return authority.dns.present(...record)
    }
    const failed = obtain(authority, {
      names: ['a.example', 'b.example', 'c.example'],
      dns: { ...authority.dns, present },
    })
    await expect(failed).rejects.toThrow('SERVFAIL')
    expect(authority.cleaned.map((record) => record.split(' ')[0])).toEqual([
      '_acme-challenge.a.example',
      '_acme-challenge.b.example',
    ])
    expect(authority.log.filter((path) => path.startsWith('/chall'))).toEqual([])
  })

  it('still brings the certificate when a record cannot be removed', async () => {
    const authority = pretendAuthority()
    const dns = { ...authority.dns, cleanup: () => Promise.reject(new Error('REFUSED')) }
    expect(await obtain(authority, { dns })).toBe(CHAIN)
  })

  it('needs an authority that offers dns-01', async () => {
    const failed = obtain(pretendAuthority({ challenges: ['http-01', 'tls-alpn-01'] }))
    await expect(failed).rejects.toMatchObject({ code: 'ACME_REFUSED' })
  })

  it('reports a rate limit with its waiting time', async () => {
    const limited = {
      status: 429,
      headers: { 'content-type': 'application/problem+json', 'retry-after': '3600' },
      body: Buffer.from('{"type":"urn:ietf:params:acme:error:rateLimited","detail":"too many"}'),
    }
    const failed = obtain(pretendAuthority({ replyTo: (path) => (path === '/new-order' ? limited : undefined) }))
    await expect(failed).rejects.toMatchObject({
      code: 'ACME_REFUSED',
      facts: { type: 'rateLimited', retryAfterMs: 3_600_000 },
    })
  })
})
