import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import type { AcmeTransport } from '../../src/acme/client/exchange.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createHttpTransport } from '../../src/net/http.ts'
import { acmeAuthority } from '../../src/operator/authority/acme.ts'
import { acmeAccount } from '../../src/operator/authority/acme-account.ts'
import type { Attempt, Authority, CertificateWish } from '../../src/operator/authority/authority.ts'
import { dnsUpdater } from '../../src/operator/authority/dns-01.ts'
import { fromPem, parseCertificate } from '../../src/pki/certificate.ts'
import { createCsr } from '../../src/pki/csr.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { keptIn } from '../../src/store/kept.ts'
import { readPem } from '../../src/store/settings-file.ts'
import { silentLog } from '../support/log.ts'
import { startKnot } from './support/knot.ts'
import { type Pebble, pebbleIn } from './support/pebble.ts'
import { openScene } from './support/scene.ts'

const ZONE = 'cpe.test'
const clock = systemClock
/** A whole order takes about a dozen requests; some are repeated because their nonce was refused. */
const REQUESTS_MAX = 60

class Crash extends Error {}

/** What an earlier try wrote down, as the publisher keeps it. */
interface Written {
  order?: string
  placingSinceMs?: number
}

describe('a real CA', () => {
  const scene = openScene()
  let pebble: Pebble
  let transport: AcmeTransport
  let open: (transport: AcmeTransport, more?: { preferredChain: string }) => Authority

  beforeAll(async () => {
    const knot = await startKnot(scene, { [ZONE]: '' })
    pebble = await pebbleIn(scene, { dnsServer: knot.address, validityS: 86_400, alternateRoots: 2 })
    await pebble.start()
    transport = createHttpTransport({ ca: await readPem(pebble.trust, 'trust'), userAgent: 'hearth-operator' })
    const key = { keyName: knot.tsig.name, algorithm: 'hmac-sha256', secret: Buffer.from(knot.tsig.secret, 'base64') }
    open = (over, more = { preferredChain: '' }) =>
      acmeAuthority({
        id: 'primary',
        requestDates: false,
        dns: dnsUpdater({
          server: { host: '127.0.0.1', port: knot.port },
          zone: ZONE,
          key: { ...key, algorithm: 'hmac-sha256' },
          clock,
        }),
        account: acmeAccount({
          id: 'primary',
          directoryUrl: pebble.directoryUrl,
          keep: keptIn(scene.directory),
          transport: over,
        }),
        clock,
        log: silentLog,
        ...(more.preferredChain === '' ? {} : more),
      })
  })

  async function wishFor(name: string): Promise<{ wish: CertificateWish; spki: Uint8Array }> {
    const keyPem = await generateKey('p256')
    const csr = await createCsr({ keyPem, dnsNames: [name] })
    const notBeforeMs = clock.nowMs()
    return { wish: { names: [name], csr, notBeforeMs, notAfterMs: notBeforeMs + 86_400_000 }, spki: spkiOf(keyPem) }
  }
  const attemptOver = (written: Written): Attempt => ({
    signal: AbortSignal.timeout(60_000),
    ...written,
    async placed(order) {
      if (order === undefined) written.placingSinceMs = clock.nowMs()
      else written.order = order
    },
  })

  it.each(['before', 'after'] as const)(
    'a crash %s any request to it places no second order, and the next try ends with the certificate',
    async (moment) => {
      let crashes = 0
      for (let fatal = 1; fatal <= REQUESTS_MAX; fatal++) {
        let requests = 0
        let orders = 0
        const counting: AcmeTransport = async (request) => {
          const isFatal = ++requests === fatal
          if (isFatal && moment === 'before') throw new Crash()
          const response = await transport(request)
          if (request.method === 'POST' && response.status === 201 && request.url.endsWith('/order-plz')) orders++
          if (isFatal) throw new Crash()
          return response
        }
        const { wish, spki } = await wishFor(`cpe-${moment}-${fatal}.${ZONE}`)
        const written: Written = {}
        const first = await open(counting)
          .issue(wish, attemptOver(written))
          .catch((error: unknown) => error)
        if (Array.isArray(first)) break
        crashes++
        const chain = await open(counting).issue(wish, attemptOver(written))
        expect(Buffer.from(parseCertificate(chain[0]!).spki).equals(spki)).toBe(true)
        expect(orders).toBe(1)
      }
      expect(crashes).toBeGreaterThan(8)
    },
    300_000,
  )

  it('an order that failed is not gone on with', async () => {
    const { wish } = await wishFor(`cpe-gone.${ZONE}`)
    const written: Written = { order: `${new URL(pebble.directoryUrl).origin}/my-order/none` }
    await open(transport).issue(wish, attemptOver(written))
    expect(written.order).not.toContain('/none')
  })

  it('gives the chain that leads to the preferred root, and the first one when there is none', async () => {
    const nameOf = async (nth: number): Promise<string> =>
      /CN=([^,]+)/.exec(parseCertificate(fromPem(await pebble.issuingRoot(nth))[0]!).subject)![1]!
    for (const [preferredChain, expected] of [
      [await nameOf(2), await nameOf(2)],
      ['No Such Root', await nameOf(0)],
    ] as const) {
      const { wish } = await wishFor(`cpe-chain.${ZONE}`)
      const chain = await open(transport, { preferredChain }).issue(wish, attemptOver({}))
      expect(parseCertificate(chain.at(-1)!).issuer).toBe(`CN=${expected}`)
    }
  })

  it('revokes what it issued, for the reason that was given, and does not mind doing it twice', async () => {
    const { wish } = await wishFor(`cpe-revoked.${ZONE}`)
    const authority = open(transport)
    const [leaf] = await authority.issue(wish, attemptOver({}))
    await authority.revoke!(leaf!, 'superseded', AbortSignal.timeout(10_000))
    await expect(authority.revoke!(leaf!, 'superseded', AbortSignal.timeout(10_000))).resolves.toBeUndefined()
    const { serialNumber } = new X509Certificate(leaf!)
    expect(await pebble.statusOf(serialNumber.toLowerCase())).toMatchObject({ Status: 'Revoked', Reason: 4 })
  })

  it('has no opinion on when to renew, because it has no renewal information', async () => {
    const { wish } = await wishFor(`cpe-ari.${ZONE}`)
    const authority = open(transport)
    const [leaf] = await authority.issue(wish, attemptOver({}))
    expect(await authority.renewalWindow!(leaf!, AbortSignal.timeout(10_000))).toBeUndefined()
  })
})
