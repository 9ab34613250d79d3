import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import * as x509 from '@peculiar/x509'
import { beforeAll, describe, expect, it } from 'vitest'
import type { FaultCode } from '../../src/core/fault.ts'
import { fromPem, parseCertificate } from '../../src/pki/certificate.ts'
import { checkIdentity, coversName, type IdentityClaim } from '../../src/pki/chain.ts'
import { nullValue } from '../../src/pki/der-writer.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { selfSign } from '../../src/pki/sign.ts'
import { Authority, DAY_MS, NOW_MS, WHILE_NOW } from './authority.ts'

const NAME = 'cpe7.isp.example'
const LONG = { notBeforeMs: NOW_MS - 10 * DAY_MS, notAfterMs: NOW_MS + 10 * DAY_MS }
const EXPIRED = { notBeforeMs: NOW_MS - 2 * DAY_MS, notAfterMs: NOW_MS - DAY_MS }

describe('checkIdentity', () => {
  let authority: Authority
  let leaf: Uint8Array
  beforeAll(async () => {
    authority = await Authority.create()
    leaf = await authority.makeLeaf()
  })

  const claim = (changed: Partial<IdentityClaim> = {}): IdentityClaim => ({
    chain: [leaf, authority.intermediate],
    spki: spkiOf(authority.leafKey),
    names: [NAME],
    nowMs: NOW_MS,
    anchors: [authority.root],
    ...changed,
  })
  const accepts = (changed: Partial<IdentityClaim> = {}): void => {
    expect(() => checkIdentity(claim(changed))).not.toThrow()
  }
  const refuses = (changed: Partial<IdentityClaim>, code: FaultCode, message: string): void => {
    expect(() => checkIdentity(claim(changed))).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(message) }),
    )
  }

  it('accepts a good chain, with and without its root', () => {
    accepts()
    accepts({ chain: [leaf, authority.intermediate, authority.root] })
    accepts({
      anchors: [...fromPem(rootCertificates.join(''), 1000), Buffer.from('not a certificate'), authority.root],
    })
  })

  it('accepts an intermediate, or the certificate itself, as the anchor', async () => {
    accepts({ anchors: [authority.intermediate] })
    accepts({ chain: [leaf], anchors: [authority.intermediate] })
    const own = await selfSign({ keyPem: authority.leafKey, dnsNames: [NAME], ...WHILE_NOW })
    accepts({ chain: [own], anchors: [own] })
    refuses({ chain: [own] }, 'CERT_CHAIN', '"O=Self-signed" was issued by "O=Self-signed", which is no trust anchor')
  })

  it('stops at the first anchor and does not mind what follows', async () => {
    accepts({ chain: [leaf, authority.intermediate, authority.root, await authority.makeIntermediate(EXPIRED)] })
  })

  it('refuses an empty chain, no anchors, and bytes that are no certificate', () => {
    refuses({ chain: [] }, 'CERT_CHAIN', 'the chain is empty')
    refuses({ anchors: [] }, 'CERT_CHAIN', 'which is no trust anchor of ours')
    refuses({ chain: [leaf, Buffer.alloc(5)] }, 'CERT_UNREADABLE', 'malformed')
  })

  describe('the leaf', () => {
    it('is for our key', async () => {
      refuses({ spki: spkiOf(await generateKey('p256')) }, 'CERT_KEY_MISMATCH', 'another key')
    })

    it('is for every name', async () => {
      refuses(
        { names: [NAME, 'cpe8.isp.example'] },
        'CERT_NAME_MISMATCH',
        'is for cpe7.isp.example, which leaves out cpe8.isp.example',
      )
      const many = await authority.makeLeaf({
        dnsNames: ['*.isp.example', 'isp.example'],
        ipAddresses: ['192.168.1.1', 'fd00::1'],
      })
      const chain = [many, authority.intermediate]
      accepts({ chain, names: ['CPE8.isp.example.', 'isp.example', '*.isp.example', '192.168.1.1', 'FD00:0::1'] })
      for (const name of ['a.b.isp.example', 'example', '192.168.1.2', '*.example'])
        refuses({ chain, names: [name] }, 'CERT_NAME_MISMATCH', `leaves out ${name}`)
    })

    it('is valid now: from its first moment until its last, exclusively', () => {
      const { notBeforeMs, notAfterMs } = WHILE_NOW
      accepts({ nowMs: notBeforeMs })
      accepts({ nowMs: notAfterMs - 1 })
      refuses({ nowMs: notBeforeMs - 1 }, 'CERT_DATES', 'the certificate is not valid before 2026-11-23T00:00:00Z')
      refuses({ nowMs: notAfterMs }, 'CERT_DATES', 'the certificate expired at 2026-11-25T00:00:00Z')
    })

    it('is no CA, and made for TLS servers', async () => {
      const asLeaf = { chain: [authority.intermediate], spki: spkiOf(authority.key), names: [] }
      refuses(asLeaf, 'CERT_CHAIN', 'is a CA')
      const chainOf = async (changed: object): Promise<Uint8Array[]> => [
        await authority.makeLeaf(changed),
        authority.intermediate,
      ]
      refuses(
        { chain: await chainOf({ extendedKeyUsages: ['clientAuth'] }) },
        'CERT_CHAIN',
        'is for clientAuth, not for servers',
      )
      accepts({ chain: await chainOf({ extendedKeyUsages: ['2.5.29.37.0'] }) })
      refuses({ chain: await chainOf({ keyUsages: ['keyAgreement'] }) }, 'CERT_CHAIN', 'leaves out digitalSignature')
      const unknown = { oid: '1.2.3', critical: true, der: nullValue() }
      refuses({ chain: await chainOf({ extensions: [unknown] }) }, 'CERT_CHAIN', 'critical extension 1.2.3')
      accepts({ chain: await chainOf({ extensions: [{ ...unknown, critical: false }] }) })
    })
  })

  describe('the path', () => {
    it('has every intermediate', () => {
      refuses(
        { chain: [leaf] },
        'CERT_CHAIN',
        '"CN=cpe7.isp.example" was issued by "CN=Test Intermediate", which is no trust anchor of ours',
      )
    })

    it('ends at our root, not at one of the same name', async () => {
      const other = await Authority.create()
      refuses(
        { anchors: [other.root] },
        'CERT_CHAIN',
        '"CN=Test Intermediate" was issued by "CN=Test Root", which is no trust anchor',
      )
      accepts({ anchors: [other.root, authority.root] })
      refuses(
        { chain: [leaf, other.intermediate] },
        'CERT_CHAIN',
        'does not bear the signature of "CN=Test Intermediate"',
      )
    })

    it('is in order', async () => {
      const stranger = await authority.makeIntermediate({ commonName: 'Stranger' })
      refuses({ chain: [leaf, stranger, authority.intermediate] }, 'CERT_CHAIN', 'but "CN=Stranger" comes next')
    })

    it('has no changed bytes', () => {
      const changed = Buffer.from(leaf)
      // The last one: the SAN stands behind the subject.
      changed.write('cpe8', changed.lastIndexOf('cpe7'))
      refuses(
        { chain: [changed, authority.intermediate], names: ['cpe8.isp.example'] },
        'CERT_CHAIN',
        'does not bear the signature',
      )
    })

    it('is valid now in every part, the anchor included', async () => {
      const intermediate = await authority.makeIntermediate(EXPIRED)
      const chain = [
        await authority.makeLeaf({ issuer: { certificate: intermediate, keyPem: authority.key } }),
        intermediate,
      ]
      refuses({ chain }, 'CERT_DATES', '"CN=Test Intermediate" expired at 2026-11-23T00:00:00Z')
      const root = await authority.makeRoot({ notBeforeMs: NOW_MS + 1000 })
      refuses({ anchors: [root] }, 'CERT_DATES', '"CN=Test Root" is not valid before 2026-11-24T00:00:01Z')
      accepts({ anchors: [root, authority.root] })
    })

    it('leads around an expired anchor when the chain shows how', async () => {
      const newRootKey = await generateKey('p256')
      const newRoot = await authority.makeRoot({ commonName: 'New Root', keyPem: newRootKey, pathLength: 2, ...LONG })
      const issuer = { certificate: newRoot, keyPem: newRootKey }
      const cross = await authority.makeIntermediate({
        commonName: 'Test Root',
        issuer,
        spki: spkiOf(authority.rootKey),
        pathLength: 1,
      })
      const anchors = [await authority.makeRoot(EXPIRED), newRoot]
      accepts({ chain: [leaf, authority.intermediate, cross], anchors })
      refuses({ anchors }, 'CERT_DATES', '"CN=Test Root" expired')
    })

    it('keeps to the path length', async () => {
      const lowKey = await generateKey('p256')
      const low = await authority.makeIntermediate({
        commonName: 'Low',
        issuer: { certificate: authority.intermediate, keyPem: authority.key },
        spki: spkiOf(lowKey),
      })
      const deep = await authority.makeLeaf({ issuer: { certificate: low, keyPem: lowKey } })
      refuses(
        { chain: [deep, low, authority.intermediate] },
        'CERT_CHAIN',
        '"CN=Test Intermediate" allows 0 CAs below it, and there are 1',
      )
      refuses(
        { anchors: [await authority.makeRoot({ pathLength: 0 })] },
        'CERT_CHAIN',
        '"CN=Test Root" allows 0 CAs below it',
      )
    })

    it('goes through CAs only, each allowed to sign, and for servers', async () => {
      const made = async (...extensions: x509.Extension[]): Promise<Uint8Array[]> => {
        const intermediate = await certifyIntermediate(authority, extensions)
        const signed = await authority.makeLeaf()
        return [signed, intermediate]
      }
      const isCa = new x509.BasicConstraintsExtension(true, 0, true)
      accepts({ chain: await made(isCa) })
      accepts({ chain: await made(isCa, new x509.ExtendedKeyUsageExtension(['2.5.29.37.0'])) })
      refuses({ chain: await made() }, 'CERT_CHAIN', '"CN=Test Intermediate" is not a CA')
      refuses({ chain: await made(new x509.BasicConstraintsExtension(false)) }, 'CERT_CHAIN', 'is not a CA')
      const crlOnly = new x509.KeyUsagesExtension(x509.KeyUsageFlags.cRLSign, true)
      refuses({ chain: await made(isCa, crlOnly) }, 'CERT_CHAIN', 'may not sign certificates')
      const mail = new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.4'])
      refuses({ chain: await made(isCa, mail) }, 'CERT_CHAIN', 'is for emailProtection, not for servers')
      refuses(
        { chain: await made(isCa, new x509.Extension('1.2.3', true, nullValue())) },
        'CERT_CHAIN',
        'critical extension 1.2.3',
      )
      const broken = new x509.Extension('2.5.29.30', true, Uint8Array.of(0x30, 1))
      refuses({ chain: await made(isCa, broken) }, 'CERT_CHAIN', 'name constraints are malformed')
    })

    it('stays within the names a CA is confined to', async () => {
      const scope = { dnsNames: ['home.arpa'], prefixes: ['192.168.0.0/16'] }
      const root = await authority.makeRoot({ scope })
      refuses(
        { anchors: [root] },
        'CERT_CHAIN',
        '"CN=Test Root" is confined: "cpe7.isp.example" is not among the names',
      )
      const inside = await authority.makeLeaf({ dnsNames: ['nas.home.arpa'], ipAddresses: ['192.168.1.9'] })
      accepts({ chain: [inside, authority.intermediate], names: ['nas.home.arpa'], anchors: [root] })
    })
  })
})

describe('coversName', () => {
  it.each([
    ['a.example', 'A.Example.', true],
    ['*.example', 'a.example', true],
    ['*.example', 'example', false],
    ['*.example', 'b.a.example', false],
    ['*.example', '.example', false],
    ['*.example', '*.example', true],
    ['*.a.example', '*.example', false],
    ['a.*.example', 'a.b.example', false],
    ['a*.example', 'ab.example', false],
    ['*', 'example', false],
  ])('%s covers %s: %s', (pattern, name, expected) => {
    expect(coversName(pattern, name)).toBe(expected)
  })
})

/** An intermediate with any extensions, for the key and name of the usual one. */
async function certifyIntermediate(authority: Authority, extensions: x509.Extension[]): Promise<Uint8Array> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
  const rootKey = createPrivateKey(authority.rootKey).export({ type: 'pkcs8', format: 'der' })
  const certificate = await x509.X509CertificateGenerator.create({
    subject: new x509.Name(Buffer.from(parseCertificate(authority.intermediate).subjectDer)),
    issuer: new x509.Name(Buffer.from(parseCertificate(authority.root).subjectDer)),
    notBefore: new Date(WHILE_NOW.notBeforeMs),
    notAfter: new Date(WHILE_NOW.notAfterMs),
    publicKey: await webcrypto.subtle.importKey('spki', spkiOf(authority.key), algorithm, true, ['verify']),
    signingKey: await webcrypto.subtle.importKey('pkcs8', rootKey, algorithm, true, ['sign']),
    signingAlgorithm: algorithm,
    extensions,
  })
  return new Uint8Array(certificate.rawData)
}
