import { expect, it } from 'vitest'
import type { CertificateWish } from '../../../src/operator/authority/authority.ts'
import { checkIssued } from '../../../src/operator/publication/fit.ts'
import { createCsr } from '../../../src/pki/csr.ts'
import { generateKey, spkiOf } from '../../../src/pki/key.ts'
import { createIntermediate, createRoot, type LeafRequest, signLeaf } from '../../../src/pki/sign.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.UTC(2027, 0, 10)
const NAME = 'cpe-1.cpe.example'
const LONG = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 100 * DAY_MS }

const [rootKey, caKey, otherKey, deviceKey] = await Promise.all([1, 2, 3, 4].map(() => generateKey('p256')))
const root = await createRoot({ commonName: 'Root', keyPem: rootKey!, ...LONG })
const issuer = { certificate: root, keyPem: rootKey! }
const intermediate = await createIntermediate({ issuer, commonName: 'CA', spki: spkiOf(caKey!), ...LONG })
const stranger = await createIntermediate({ issuer, commonName: 'CA', spki: spkiOf(otherKey!), ...LONG })
const wish: CertificateWish = {
  names: [NAME],
  csr: await createCsr({ keyPem: deviceKey!, dnsNames: [NAME] }),
  notBeforeMs: NOW_MS - 60_000,
  notAfterMs: NOW_MS + 7 * DAY_MS,
}
const leaf = (more: Partial<LeafRequest> = {}): Promise<Uint8Array> =>
  signLeaf({
    issuer: { certificate: intermediate, keyPem: caKey! },
    spki: spkiOf(deviceKey!),
    dnsNames: [NAME],
    notBeforeMs: NOW_MS - 60_000,
    notAfterMs: NOW_MS + 7 * DAY_MS,
    ...more,
  })

it('accepts what was asked for, with the chain up to the root or short of it, and later dates where they were wished', async () => {
  expect(() => checkIssued([], wish, NOW_MS)).toThrow('no certificate')
  for (const chain of [[await leaf(), intermediate], [await leaf(), intermediate, root], [await leaf()]])
    expect(() => checkIssued(chain, wish, NOW_MS)).not.toThrow()
  const later = { ...wish, notBeforeMs: NOW_MS + DAY_MS }
  const postdated = [await leaf({ notBeforeMs: NOW_MS + DAY_MS }), intermediate]
  expect(() => checkIssued(postdated, later, NOW_MS)).not.toThrow()
})

it.each([
  ['for another key than the CSR’s', { spki: spkiOf(otherKey!) }, 'CERT_KEY_MISMATCH'],
  ['for another name', { dnsNames: ['cpe-2.cpe.example'] }, 'CERT_NAME_MISMATCH'],
  ['for one name more', { dnsNames: [NAME, 'cpe-2.cpe.example'] }, 'CERT_NAME_MISMATCH'],
  ['for an address besides', { ipAddresses: ['192.0.2.1'] }, 'CERT_NAME_MISMATCH'],
  ['for a wildcard in place of the name', { dnsNames: ['*.cpe.example'] }, 'CERT_NAME_MISMATCH'],
  ['that starts later than asked for', { notBeforeMs: NOW_MS + DAY_MS }, 'CERT_DATES'],
  ['that is over already', { notAfterMs: NOW_MS - 1_000 }, 'CERT_DATES'],
] as const)('refuses a certificate %s', async (_what, more, code) => {
  const chain = [await leaf(more), intermediate]
  expect(() => checkIssued(chain, wish, NOW_MS)).toThrow(expect.objectContaining({ code }))
})

it('refuses a chain of which one did not sign the one before', async () => {
  const chain = [await leaf(), stranger, root]
  expect(() => checkIssued(chain, wish, NOW_MS)).toThrow(expect.objectContaining({ code: 'CERT_CHAIN' }))
})
