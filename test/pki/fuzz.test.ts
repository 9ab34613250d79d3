import { beforeAll, describe, expect, it } from 'vitest'
import { Fault, type FaultCode } from '../../src/core/fault.ts'
import { seededRandom } from '../../src/core/seeded-random.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { checkIdentity } from '../../src/pki/chain.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { Authority, NOW_MS } from './authority.ts'

const MUTATIONS = 3000
/** A mutant may cost a signature check; anything near this is a loop that grows with hostile numbers, or a pause of the machine. */
const MUTANT_MS_MAX = 1_000

describe('hostile bytes', () => {
  let authority: Authority
  let certificate: Uint8Array
  let csr: Uint8Array
  beforeAll(async () => {
    authority = await Authority.create()
    const names = { dnsNames: ['cpe7.isp.example', '*.isp.example'], ipAddresses: ['192.0.2.1', 'fd00::1'] }
    certificate = await authority.makeLeaf({ ...names, crlUrl: 'http://ca.example/crl' })
    const keyPem = await generateKey('p256')
    const subject = [[{ oid: '2.5.4.10', value: 'ISP' }]]
    csr = await createCsr({
      keyPem,
      ...names,
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['serverAuth'],
      subject,
    })
  })

  it.each([1, 2, 3])('in a request, seed %i', (seed) => {
    expectFaultsOnly(csr, seed, 'CSR_UNREADABLE', parseCsr)
  })

  it.each([1, 2, 3])('in a certificate, seed %i', (seed) => {
    expectFaultsOnly(certificate, seed, 'CERT_UNREADABLE', parseCertificate)
  })

  it.each([1, 2])('in a chain, seed %i', (seed) => {
    const { leafKey, intermediate, root } = authority
    const rest = { spki: spkiOf(leafKey), names: ['cpe7.isp.example'], nowMs: NOW_MS, anchors: [root] }
    expectFaultsOnly(certificate, seed, undefined, (mutant) =>
      checkIdentity({ ...rest, chain: [mutant, intermediate] }),
    )
    expectFaultsOnly(intermediate, seed, undefined, (mutant) =>
      checkIdentity({ ...rest, chain: [certificate, mutant] }),
    )
  })
})

/** Nothing but Faults may come out, and soon. */
function expectFaultsOnly(
  good: Uint8Array,
  seed: number,
  code: FaultCode | undefined,
  use: (mutant: Uint8Array) => unknown,
): void {
  const random = randomFrom(seed)
  let refused = 0
  for (let count = 0; count < MUTATIONS / 3; count++) {
    const mutant = mutate(good, random)
    const startMs = performance.now()
    try {
      use(mutant)
    } catch (error) {
      if (!(error instanceof Fault) || (code && error.code !== code)) throw error
      refused++
    }
    expect(performance.now() - startMs).toBeLessThan(MUTANT_MS_MAX)
  }
  expect(refused).toBeGreaterThan(MUTATIONS / 12)
}

/** A few changes: a bit, a byte that DER cares about, a piece cut out, a piece doubled, the end cut off. */
function mutate(good: Uint8Array, random: (below: number) => number): Uint8Array {
  let bytes = Buffer.from(good)
  for (let changes = 1 + random(3); changes > 0; changes--) {
    const at = random(bytes.length)
    const end = Math.min(bytes.length, at + 1 + random(20))
    const kind = random(5)
    if (kind === 0) bytes[at]! ^= 1 << random(8)
    else if (kind === 1) bytes[at] = TELLING_BYTES[random(TELLING_BYTES.length)]!
    else if (kind === 2) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(end)])
    else if (kind === 3) bytes = Buffer.concat([bytes.subarray(0, end), bytes.subarray(at)])
    else if (at > 8) bytes = bytes.subarray(0, at)
  }
  return bytes
}

const TELLING_BYTES = [
  0, 1, 2, 3, 4, 5, 6, 0x0c, 0x13, 0x17, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xa0, 0xa3, 0xff,
]

function randomFrom(seed: number): (below: number) => number {
  const random = seededRandom(seed)
  return (below) => (random() * 2 ** 32) % below
}
