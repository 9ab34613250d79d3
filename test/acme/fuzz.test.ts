import { expect, it } from 'vitest'
import { seededRandom } from '../../src/core/seeded-random.ts'
import { BASE, createWorld, csrFor, encode, enrol, NAME, RawPeer } from './world.ts'

/**
 * Damaged requests leave the server serving: bodies, protected headers, payloads and CSRs, the latter three well signed.
 * `./scripts/fuzz` runs 100,000 of them; what fails is named by seed and case.
 */
const { HEARTH_FUZZ_CASES, HEARTH_FUZZ_SEED } = process.env
const CASES = HEARTH_FUZZ_CASES === undefined ? 1_000 : Math.min(Number(HEARTH_FUZZ_CASES), 100_000)
const SEED = Number(HEARTH_FUZZ_SEED ?? 1)
/** Some ten times what a case takes on a slow core. */
const TIMEOUT_MS = 30_000 + CASES * 20
const FLIPS_MAX = 4
/** A status of ours, never an accident. */
const REFUSALS = [400, 401, 403, 404, 405, 409, 413, 415, 429]

it(
  `${CASES} mutated JWS, JSON and CSR inputs from seed ${SEED} leave the server serving`,
  async () => {
    const failures: unknown[] = []
    const log = { error: (...what: unknown[]) => failures.push(what), debug() {}, info() {}, warn() {} }
    const world = createWorld({ preauthorized: async () => [], log: log as never })
    const { peer, delegation } = await enrol(world)
    const order = await peer.post(`${BASE}/new-order`, { identifiers: [{ type: 'dns', value: NAME }] })
    const good = await csrFor([NAME])
    const next = await RawPeer.create(world.server)
    const targets: readonly (readonly [string, object | null])[] = [
      [`${BASE}/new-order`, { identifiers: [{ type: 'dns', value: NAME }], delegation, 'allow-certificate-get': true }],
      [
        `${BASE}/new-order`,
        {
          identifiers: [{ type: 'dns', value: NAME }],
          'auto-renewal': { 'end-date': '2026-12-20T00:00:00Z', lifetime: 86_400 },
        },
      ],
      [String(order.json.finalize), good],
      [peer.kid!, { contact: ['mailto:noc@isp.example'] }],
      [order.location, null],
      [`${BASE}/revoke-cert`, { certificate: good.csr, reason: 1 }],
      [
        `${BASE}/key-change`,
        await next.jws(`${BASE}/key-change`, { account: peer.kid, oldKey: peer.jwk }, { by: 'jwk' }),
      ],
      [`${BASE}/new-account`, { externalAccountBinding: peer.binding('x', Buffer.alloc(32), `${BASE}/new-account`) }],
    ]
    const random = seededRandom(SEED)
    let refused = 0
    for (let index = 0; index < CASES; index++) {
      const [url, payload] = targets[Math.floor(random() * targets.length)]!
      const sent = await [damagedBody, damagedHeader, damagedPayload, damagedCsr][index % 4]!(url, payload)
      const reply = await peer.send(url, sent)
      const what = `seed ${SEED}, case ${index}: ${Buffer.from(sent).toString('latin1').slice(0, 2_000)}`
      if (reply.status >= 400) {
        refused++
        expect(REFUSALS, `${what} → ${reply.text}`).toContain(reply.status)
        expect(reply.json, what).toMatchObject({ type: expect.stringMatching(/^urn:ietf:params:acme:error:\w+$/) })
      } else expect([200, 201], what).toContain(reply.status)
      expect(reply.nonce, what).not.toBe('')
    }
    expect(failures).toEqual([])
    expect(refused).toBeGreaterThan(CASES / 2)
    // And then somebody comes who means it.
    const decent = await enrol(world, 'd2')
    const placed = await decent.peer.post(`${BASE}/new-order`, { identifiers: [{ type: 'dns', value: NAME }] })
    const done = await decent.peer.post(String(placed.json.finalize), await csrFor([NAME]))
    expect(done.json.status).toBe('processing')

    async function damagedBody(url: string, payload: object | null): Promise<Uint8Array> {
      return damage(Buffer.from(JSON.stringify(await peer.jws(url, payload))), random)
    }
    async function damagedHeader(url: string, payload: object | null): Promise<string> {
      const header = { alg: 'ES256', nonce: await peer.nonce(), url, kid: peer.kid }
      const bytes = damage(Buffer.from(JSON.stringify(header)), random)
      return JSON.stringify(peer.signed(bytes.toString('base64url'), payload === null ? '' : encode(payload)))
    }
    async function damagedPayload(url: string, payload: object | null): Promise<string> {
      const bytes = damage(Buffer.from(JSON.stringify(payload ?? {})), random)
      return JSON.stringify(await signedOver(url, bytes))
    }
    async function damagedCsr(): Promise<string> {
      const csr = damage(Buffer.from(good.csr, 'base64url'), random).toString('base64url')
      return JSON.stringify(await peer.jws(String(order.json.finalize), { csr }))
    }
    async function signedOver(url: string, payload: Buffer) {
      const header = { alg: 'ES256', nonce: await peer.nonce(), url, kid: peer.kid }
      return peer.signed(encode(header), payload.toString('base64url'))
    }
  },
  TIMEOUT_MS,
)

/** A few octets changed, taken away, or repeated. */
function damage(bytes: Buffer, random: () => number): Buffer {
  let damaged = Buffer.from(bytes)
  const flips = 1 + Math.floor(random() * FLIPS_MAX)
  for (let flip = 0; flip < flips && damaged.length > 0; flip++) {
    const at = Math.floor(random() * damaged.length)
    const length = 1 + Math.floor(random() * 8)
    const kind = random()
    if (kind < 0.6) damaged[at] = Math.floor(random() * 256)
    else if (kind < 0.8) damaged = Buffer.concat([damaged.subarray(0, at), damaged.subarray(at + length)])
    else damaged = Buffer.concat([damaged.subarray(0, at + length), damaged.subarray(at)])
  }
  return damaged
}
