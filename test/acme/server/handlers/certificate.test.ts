import { beforeEach, describe, expect, it } from 'vitest'
import type { PublishedCertificate } from '../../../../src/acme/server/options.ts'
import { ask, BASE, createWorld, enrol, problemOf, type RawPeer, type World } from '../../world.ts'

const URL_OF_C1 = `${BASE}/cert/c1`
const HOUR_MS = 3_600_000
const PEM = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'

let world: World
let peer: RawPeer
let account: string

beforeEach(async () => {
  world = createWorld()
  ;({ peer, account } = await enrol(world))
})

function publish(more: Partial<PublishedCertificate> = {}): void {
  const nowMs = world.clock.nowMs()
  world.published.set('c1', {
    account,
    pem: PEM,
    notBeforeMs: nowMs - HOUR_MS,
    notAfterMs: nowMs + 48 * HOUR_MS,
    nextChangeMs: nowMs + 24 * HOUR_MS,
    getAllowed: true,
    ...more,
  })
}

const get = (headers: Record<string, string> = {}, method = 'GET') => ask(world.server, method, URL_OF_C1, headers)

describe('RFC 8739 §3.4 fetching a certificate without signature', () => {
  it('shows the chain, its dates, and how long it is the newest', async () => {
    publish()
    const { status, headers, text } = await get()
    expect([status, text]).toEqual([200, PEM])
    expect(headers).toEqual({
      'Content-Type': 'application/pem-certificate-chain',
      Link: [`<${BASE}/directory>;rel="index"`],
      'Cert-Not-Before': 'Mon, 23 Nov 2026 23:00:00 GMT',
      'Cert-Not-After': 'Thu, 26 Nov 2026 00:00:00 GMT',
      'Cache-Control': 'public, max-age=86400',
      ETag: expect.stringMatching(/^"[\w-]{43}"$/),
    })
  })

  it('is never cached past notAfter (§4.3), nor for a negative time', async () => {
    publish({ nextChangeMs: world.clock.nowMs() + 99 * HOUR_MS })
    expect((await get()).headers['Cache-Control']).toBe('public, max-age=172800')
    publish({ nextChangeMs: world.clock.nowMs() - HOUR_MS })
    expect((await get()).headers['Cache-Control']).toBe('public, max-age=0')
  })

  it('answers HEAD with the same headers and no body', async () => {
    publish()
    const head = await get({}, 'HEAD')
    expect([head.status, head.text]).toEqual([200, ''])
    expect(head.headers).toEqual((await get()).headers)
  })

  it('answers 304 to whoever has it already, and the new one after a change', async () => {
    publish()
    const etag = String((await get()).headers['ETag'])
    for (const held of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const reply = await get({ 'if-none-match': held })
      expect([reply.status, reply.text]).toEqual([304, ''])
      expect(reply.headers).toMatchObject({ ETag: etag, 'Cache-Control': 'public, max-age=86400' })
    }
    publish({ pem: PEM + PEM })
    expect((await get({ 'if-none-match': etag })).status).toBe(200)
  })

  it.each(['GET', 'HEAD'])('is 405 for %s unless it was negotiated (RFC 8555 §6.3)', async (method) => {
    publish({ getAllowed: false })
    const reply = await get({}, method)
    expect([reply.status, reply.headers['Allow']]).toEqual([405, 'POST'])
  })

  it.each(['autoRenewalCanceled', 'autoRenewalExpired'] as const)(
    'is 403 %s once ended, for GET, HEAD and POST',
    async (ended) => {
      publish({ ended })
      expect(problemOf(await get())).toBe(`403 ${ended}`)
      expect((await get({}, 'HEAD')).status).toBe(403)
      expect(problemOf(await peer.post(URL_OF_C1, null))).toBe(`403 ${ended}`)
    },
  )

  it('is 404 before anything was published', async () => {
    expect(problemOf(await get())).toBe('404 malformed')
  })
})

describe('RFC 8555 §7.4.2 download', () => {
  it('works with POST-as-GET, negotiated or not', async () => {
    publish({ getAllowed: false })
    const { status, headers, text } = await peer.post(URL_OF_C1, null)
    expect([status, text, headers['Content-Type']]).toEqual([200, PEM, 'application/pem-certificate-chain'])
    expect(headers['Cert-Not-After']).toBe('Thu, 26 Nov 2026 00:00:00 GMT')
    expect(headers['Replay-Nonce']).toMatch(/^[\w-]{22}$/)
  })

  it('is closed to another account', async () => {
    publish()
    const other = (await enrol(world, 'd2')).peer
    expect(problemOf(await other.post(URL_OF_C1, null))).toBe('403 unauthorized')
  })
})
