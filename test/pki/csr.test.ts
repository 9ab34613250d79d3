import 'reflect-metadata'
import { constants, sign, webcrypto } from 'node:crypto'
import {
  ChallengePasswordAttribute,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509'
import { beforeAll, describe, expect, it } from 'vitest'
import { fromHex } from '../../src/core/bytes.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { DerReader, TAG } from '../../src/pki/der-reader.ts'
import { bitString, der, nullValue, objectId, sequence, smallInteger } from '../../src/pki/der-writer.ts'
import { subjectAltName } from '../../src/pki/extensions.ts'
import { generateKey, sameKey, spkiOf } from '../../src/pki/key.ts'
import { buildName } from '../../src/pki/name.ts'
import type { SignatureName } from '../../src/pki/signature.ts'
import { craftCsr, extensionRequest } from './authority.ts'

const unreadable = (message: string): unknown =>
  expect.objectContaining({ code: 'CSR_UNREADABLE', message: expect.stringContaining(message) })

describe('createCsr', () => {
  let ec: string
  let rsa: string
  beforeAll(async () => {
    ec = await generateKey('p256')
    rsa = await generateKey('rsa2048')
  })

  it('asks for exactly what it was told', async () => {
    const bytes = await createCsr({ keyPem: ec, dnsNames: ['cpe7.isp.example', 'dns.isp.example'] })
    const csr = parseCsr(bytes)
    expect(csr).toMatchObject({
      publicKey: { kind: 'ec', curve: 'secp256r1' },
      signatureAlgorithm: 'ecdsa-with-SHA256',
      subject: [],
      attributes: [{ oid: '1.2.840.113549.1.9.14', count: 1 }],
      dnsNames: ['cpe7.isp.example', 'dns.isp.example'],
      emails: [],
      uris: [],
      ipAddresses: [],
      otherNames: 0,
      keyUsages: [],
      extendedKeyUsages: [],
    })
    expect(csr.extensions.map(({ oid, critical }) => ({ oid, critical }))).toEqual([
      { oid: '2.5.29.17', critical: false },
    ])
    expect(sameKey(csr.spki, spkiOf(ec))).toBe(true)
  })

  it('carries names, usages and a subject that text could not hold', async () => {
    const subject = [[{ oid: '2.5.4.10', value: 'ISP "x", Inc+1=\\y #é' }], [{ oid: '2.5.4.6', value: 'FR' }]]
    const csr = parseCsr(
      await createCsr({
        keyPem: ec,
        dnsNames: ['a.example'],
        emails: ['noc@a.example'],
        uris: ['urn:a:b'],
        ipAddresses: ['192.168.1.1', 'fd00::1'],
        keyUsages: ['keyEncipherment', 'digitalSignature', 'decipherOnly'],
        extendedKeyUsages: ['serverAuth', '1.3.6.1.4.1.311.44.3.4'],
        subject,
      }),
    )
    expect(csr).toMatchObject({
      subject,
      emails: ['noc@a.example'],
      uris: ['urn:a:b'],
      ipAddresses: ['192.168.1.1', 'fd00::1'],
      keyUsages: ['digitalSignature', 'keyEncipherment', 'decipherOnly'],
      extendedKeyUsages: ['serverAuth', '1.3.6.1.4.1.311.44.3.4'],
    })
    expect(csr.extensions.map(({ oid }) => oid)).toEqual(['2.5.29.17', '2.5.29.15', '2.5.29.37'])
  })

  it('does not write what a field cannot hold', async () => {
    const asked = (oid: string, value: string): Promise<Uint8Array> =>
      createCsr({ keyPem: ec, dnsNames: ['a.example'], subject: [[{ oid, value }]] })
    await expect(asked('2.5.4.6', 'France')).rejects.toThrow('"France" does not fit the field C of a subject')
    await expect(asked('1.2.840.113549.1.9.1', 'é@a.example')).rejects.toThrow('does not fit the field emailAddress')
  })

  it('is read the same way by another implementation', async () => {
    const bytes = await createCsr({
      keyPem: ec,
      dnsNames: ['a.example'],
      keyUsages: ['digitalSignature'],
      subject: [[{ oid: '2.5.4.3', value: 'a.example' }]],
    })
    const other = new Pkcs10CertificateRequest(Buffer.from(bytes))
    expect(await other.verify()).toBe(true)
    expect(other.subject).toBe('CN=a.example')
    const [names, usages] = other.extensions.map(({ rawData }) => rawData)
    expect(new SubjectAlternativeNameExtension(names!).names.toJSON()).toEqual([{ type: 'dns', value: 'a.example' }])
    expect(new KeyUsagesExtension(usages!).usages).toBe(KeyUsageFlags.digitalSignature)
  })

  it.each<[SignatureName, () => string]>([
    ['ecdsa-with-SHA256', () => ec],
    ['ecdsa-with-SHA512', () => ec],
    ['sha256WithRSAEncryption', () => rsa],
    ['sha512WithRSAEncryption', () => rsa],
    ['sha256WithRSAandMGF1', () => rsa],
    ['sha384WithRSAandMGF1', () => rsa],
    ['sha512WithRSAandMGF1', () => rsa],
  ])('signs with %s when asked', async (signatureAlgorithm, key) => {
    const bytes = await createCsr({ keyPem: key(), dnsNames: ['a.example'], signatureAlgorithm })
    expect(parseCsr(bytes).signatureAlgorithm).toBe(signatureAlgorithm)
  })

  it('signs with Ed25519, and with nothing a key cannot do', async () => {
    const ed = await generateKey('ed25519')
    const csr = parseCsr(await createCsr({ keyPem: ed, dnsNames: ['a.example'] }))
    expect(csr).toMatchObject({ signatureAlgorithm: 'Ed25519', publicKey: { kind: 'other', oid: '1.3.101.112' } })
    await expect(createCsr({ keyPem: ed, dnsNames: ['a'], signatureAlgorithm: 'ecdsa-with-SHA256' })).rejects.toThrow(
      'cannot sign',
    )
  })

  it.each(['a..example', 'a\n.example', 'é.example', '192.0.2.1', ''])('does not ask for %j', async (name) => {
    await expect(createCsr({ keyPem: ec, dnsNames: [name] })).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    )
  })
})

describe('parseCsr', () => {
  let keyPem: string
  let good: Uint8Array
  beforeAll(async () => {
    keyPem = await generateKey('p256')
    good = await craftCsr({ keyPem })
  })

  it('reads what another implementation wrote', async () => {
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-384' }, true, ['sign', 'verify'])
    const other = await Pkcs10CertificateRequestGenerator.create({
      name: 'CN=a.example, O=Über',
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-384' },
      extensions: [
        new SubjectAlternativeNameExtension([
          { type: 'dns', value: 'a.example' },
          { type: 'ip', value: 'fd00::1' },
        ]),
      ],
      attributes: [new ChallengePasswordAttribute('secret')],
    })
    expect(parseCsr(new Uint8Array(other.rawData))).toMatchObject({
      publicKey: { kind: 'ec', curve: 'secp384r1' },
      signatureAlgorithm: 'ecdsa-with-SHA384',
      subject: [[{ oid: '2.5.4.3', value: 'a.example' }], [{ oid: '2.5.4.10', value: 'Über' }]],
      dnsNames: ['a.example'],
      ipAddresses: ['fd00::1'],
      attributes: [
        { oid: '1.2.840.113549.1.9.7', count: 1 },
        { oid: '1.2.840.113549.1.9.14', count: 1 },
      ],
    })
  })

  it('reads a PSS signature of another implementation', async () => {
    const algorithm = { name: 'RSA-PSS', hash: 'SHA-256', modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1) }
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const create = (saltLength: number): Promise<Pkcs10CertificateRequest> =>
      Pkcs10CertificateRequestGenerator.create({
        keys,
        signingAlgorithm: { name: 'RSA-PSS', hash: 'SHA-256', saltLength },
      })
    expect(parseCsr(new Uint8Array((await create(32)).rawData)).signatureAlgorithm).toBe('sha256WithRSAandMGF1')
    const shortSalt = new Uint8Array((await create(20)).rawData)
    expect(() => parseCsr(shortSalt)).toThrow(unreadable('1.2.840.113549.1.1.10, or with parameters'))
  })

  it('refuses a byte more, a byte less and far too many', () => {
    expect(() => parseCsr(Buffer.concat([good, Buffer.alloc(1)]))).toThrow(unreadable('1 bytes too many'))
    expect(() => parseCsr(good.subarray(0, -1))).toThrow(unreadable('past the end'))
    expect(() => parseCsr(new Uint8Array(70_000))).toThrow(unreadable('70000 bytes'))
    expect(() => parseCsr(new Uint8Array())).toThrow(unreadable('missing'))
    expect(() => parseCsr(Buffer.from('-----BEGIN CERTIFICATE REQUEST-----'))).toThrow(unreadable('tag 0x2d'))
  })

  it('refuses a changed request, and the key of somebody else', async () => {
    const changed = Buffer.from(good)
    const at = changed.indexOf('cpe7')
    changed.write('cpe8', at)
    expect(() => parseCsr(changed)).toThrow(unreadable('signature'))
    const stolen = Buffer.from(good)
    const mine = spkiOf(keyPem)
    stolen.set(spkiOf(await generateKey('p256')), stolen.indexOf(mine))
    expect(() => parseCsr(stolen)).toThrow(unreadable('signature'))
  })

  it('shows every extension of every list', async () => {
    const lists = ['a.example', 'b.example', 'c.example'].map((name) => [subjectAltName({ dnsNames: [name] }, false)])
    const attributes = [extensionRequest(lists[0]!, lists[1]!), extensionRequest(lists[2]!)]
    const csr = parseCsr(await craftCsr({ keyPem, attributes }))
    expect(csr.attributes.map(({ count }) => count)).toEqual([2, 1])
    expect(csr.dnsNames.toSorted()).toEqual(['a.example', 'b.example', 'c.example'])
  })

  it('reads a request without any attribute', async () => {
    expect(parseCsr(await craftCsr({ keyPem, attributes: [] }))).toMatchObject({
      attributes: [],
      extensions: [],
      dnsNames: [],
    })
  })

  it('refuses a malformed extension even though the signature is good', async () => {
    const extension = { oid: '2.5.29.15', critical: true, der: Uint8Array.of(3, 2, 7, 0xff) }
    await expect(craftCsr({ keyPem, extensions: [extension] }).then(parseCsr)).rejects.toThrow(unreadable('bit set'))
  })

  it('refuses a subject that is not text', async () => {
    const subject = sequence(der(TAG.set, sequence(objectId('2.5.4.3'), der(TAG.octetString, Uint8Array.of(0x61)))))
    await expect(signedBy(subject).then(parseCsr)).rejects.toThrow(unreadable('not text'))
    const latin1 = sequence(der(TAG.set, sequence(objectId('2.5.4.3'), der(TAG.utf8String, Uint8Array.of(0xe9)))))
    await expect(signedBy(latin1).then(parseCsr)).rejects.toThrow(unreadable('Unicode'))
  })

  it('refuses SHA-1 and keys it would calculate with for too long', async () => {
    const sha1 = sequence(objectId('1.2.840.10045.4.1'))
    await expect(signedBy(buildName([]), sha1).then(parseCsr)).rejects.toThrow(unreadable('1.2.840.10045.4.1'))
    const modulus = Buffer.alloc(1026, 0x7f)
    const key = sequence(der(TAG.integer, modulus), smallInteger(3))
    const spki = sequence(sequence(objectId('1.2.840.113549.1.1.1'), nullValue()), bitString(key))
    const tbs = sequence(smallInteger(0), buildName([]), spki, der(0xa0))
    const huge = sequence(tbs, sequence(objectId('1.2.840.113549.1.1.11'), nullValue()), bitString(Buffer.alloc(1026)))
    expect(() => parseCsr(huge)).toThrow(unreadable('8207 bits'))
  })

  it('refuses explicit curve parameters', () => {
    const info = DerReader.over(spkiOf(keyPem), TAG.sequence)
    info.take()
    const spki = sequence(sequence(objectId('1.2.840.10045.2.1'), sequence(smallInteger(1))), info.take().der)
    const tbs = sequence(smallInteger(0), buildName([]), spki, der(0xa0))
    const request = sequence(tbs, sequence(objectId('1.2.840.10045.4.3.2')), bitString(fromHex('3006020101020101')!))
    expect(() => parseCsr(request)).toThrow(unreadable('tag 0x30 stands where 0x06 should'))
  })

  async function signedBy(
    subject: Uint8Array,
    algorithm = sequence(objectId('1.2.840.10045.4.3.2')),
  ): Promise<Uint8Array> {
    const tbs = sequence(smallInteger(0), subject, spkiOf(keyPem), der(0xa0))
    const signature = sign('sha256', tbs, { key: keyPem, padding: constants.RSA_PKCS1_PADDING })
    return sequence(tbs, algorithm, bitString(signature))
  }
})
