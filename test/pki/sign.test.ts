import { X509Certificate } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import { equalBytes, toHex } from '../../src/core/bytes.ts'
import { parseCertificate } from '../../src/pki/certificate.ts'
import { nullValue } from '../../src/pki/der-writer.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { createRoot, selfSign } from '../../src/pki/sign.ts'
import { Authority, NOW_MS, WHILE_NOW } from './authority.ts'

const extensionOids = (der: Uint8Array): string[] => parseCertificate(der).extensions.map(({ oid }) => oid)
const criticalOids = (der: Uint8Array): string[] =>
  parseCertificate(der).extensions.flatMap(({ oid, critical }) => (critical ? [oid] : []))

describe('signing', () => {
  let authority: Authority
  beforeAll(async () => {
    authority = await Authority.create()
  })

  it('makes a root that signs one level of CAs', async () => {
    const root = await authority.makeRoot({ organization: 'ISP, Inc. "x"', commonName: 'Home CA #04\\x' })
    expect(parseCertificate(root)).toMatchObject({
      subject: String.raw`O=ISP\, Inc. \"x\", CN=Home CA #04\\x`,
      isAuthority: true,
      pathLength: 1,
      keyUsages: ['keyCertSign', 'cRLSign'],
      extendedKeyUsages: [],
    })
    const theirs = new X509Certificate(root)
    expect(theirs.subject).toBe('O=ISP\\, Inc. \\"x\\"\nCN=Home CA #04\\\\x')
    expect(theirs.ca && theirs.verify(theirs.publicKey) && theirs.checkIssued(theirs)).toBe(true)
    expect(criticalOids(root)).toEqual(['2.5.29.19', '2.5.29.15'])
  })

  it('makes an intermediate that signs end entities only', () => {
    expect(parseCertificate(authority.intermediate)).toMatchObject({
      isAuthority: true,
      pathLength: 0,
      extendedKeyUsages: ['serverAuth'],
    })
    const [root, intermediate] = [new X509Certificate(authority.root), new X509Certificate(authority.intermediate)]
    expect(intermediate.checkIssued(root) && intermediate.verify(root.publicKey)).toBe(true)
  })

  it('makes leaves whose first name is also the common name', async () => {
    const der = await authority.makeLeaf({
      dnsNames: ['a.example', '*.b.example'],
      ipAddresses: ['192.168.1.1', 'fd00::1'],
    })
    const [leaf, issuer] = [new X509Certificate(der), new X509Certificate(authority.intermediate)]
    expect(leaf.checkIssued(issuer) && leaf.verify(issuer.publicKey)).toBe(true)
    expect([leaf.checkHost('a.example'), leaf.checkHost('x.b.example'), leaf.checkIP('fd00::1')]).toEqual([
      'a.example',
      '*.b.example',
      'fd00::1',
    ])
    expect([leaf.checkHost('c.example'), leaf.ca, parseCertificate(der).subject]).toEqual([
      undefined,
      false,
      'CN=a.example',
    ])
    expect(criticalOids(der)).toEqual(['2.5.29.15'])
    expect(extensionOids(der)).toEqual(['2.5.29.17', '2.5.29.19', '2.5.29.15', '2.5.29.37', '2.5.29.14', '2.5.29.35'])
  })

  it('leaves the subject empty and the names critical where no name fits: no DNS name, or one above 64 characters', async () => {
    const long = `${'a'.repeat(60)}.example`
    for (const names of [{ dnsNames: [], ipAddresses: ['192.168.1.1'] }, { dnsNames: [long] }]) {
      const der = await authority.makeLeaf(names)
      expect(parseCertificate(der).subject).toBe('')
      expect(criticalOids(der)).toEqual(['2.5.29.17', '2.5.29.15'])
    }
  })

  it('is exact to the second, across the end of UTCTime', async () => {
    const notAfterMs = Date.UTC(2050, 0, 1, 0, 0, 1)
    const leaf = parseCertificate(await authority.makeLeaf({ notBeforeMs: NOW_MS + 1999, notAfterMs }))
    expect([leaf.notBeforeMs, leaf.notAfterMs]).toEqual([NOW_MS + 1000, notAfterMs])
    await expect(authority.makeLeaf({ notBeforeMs: NOW_MS, notAfterMs: NOW_MS - 1000 })).rejects.toThrow(RangeError)
  })

  it('draws a new positive serial of 16 bytes each time', async () => {
    const serials = await Promise.all(
      Array.from({ length: 50 }, async () => parseCertificate(await authority.makeLeaf()).serialHex),
    )
    expect(new Set(serials).size).toBe(50)
    expect(serials.filter((serial) => !/^[4-7][\da-f]{31}$/.test(serial))).toEqual([])
  })

  it('tells where the issuer publishes, or that nothing will be revoked', async () => {
    const published = await authority.makeLeaf({
      crlUrl: 'http://ca.example/crl',
      issuerUrl: 'http://ca.example/ca.cer',
    })
    expect(extensionOids(published).slice(-2)).toEqual(['2.5.29.31', '1.3.6.1.5.5.7.1.1'])
    expect(new X509Certificate(published).infoAccess?.trim()).toBe('CA Issuers - URI:http://ca.example/ca.cer')
    expect(extensionOids(await authority.makeLeaf({ noRevocation: true })).at(-1)).toBe('2.5.29.56')
    await expect(authority.makeLeaf({ noRevocation: true, crlUrl: 'http://a' })).rejects.toThrow(RangeError)
  })

  it('adds other extensions as they are', async () => {
    const delegationUsage = { oid: '1.3.6.1.4.1.44363.44', critical: false, der: nullValue() }
    const { extensions } = parseCertificate(await authority.makeLeaf({ extensions: [delegationUsage] }))
    expect(extensions.at(-1)).toEqual({
      ...delegationUsage,
      der: expect.toSatisfy((der: Uint8Array) => toHex(der) === '0500'),
    })
  })

  it('lets an RSA key encipher, and takes other usages when given', async () => {
    const spki = spkiOf(await generateKey('rsa2048'))
    expect(parseCertificate(await authority.makeLeaf({ spki })).keyUsages).toEqual([
      'digitalSignature',
      'keyEncipherment',
    ])
    const leaf = await authority.makeLeaf({ keyUsages: ['keyAgreement'], extendedKeyUsages: ['clientAuth', '1.2.3'] })
    expect(parseCertificate(leaf)).toMatchObject({
      keyUsages: ['keyAgreement'],
      extendedKeyUsages: ['clientAuth', '1.2.3'],
    })
  })

  it.each(['p384', 'ed25519', 'rsa2048'] as const)('signs with a %s key', async (type) => {
    const keyPem = await generateKey(type)
    const root = await createRoot({ commonName: type, keyPem, ...WHILE_NOW })
    const leaf = new X509Certificate(await authority.makeLeaf({ issuer: { certificate: root, keyPem } }))
    expect(leaf.verify(new X509Certificate(root).publicKey)).toBe(true)
  })

  it('signs for itself, with addresses', async () => {
    const keyPem = await generateKey('p256')
    const der = await selfSign({ keyPem, dnsNames: ['cpe7.home.arpa'], ipAddresses: ['192.168.1.1'], ...WHILE_NOW })
    const theirs = new X509Certificate(der)
    expect(theirs.verify(theirs.publicKey)).toBe(true)
    const ours = parseCertificate(der)
    expect(ours).toMatchObject({
      isAuthority: false,
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['serverAuth'],
      ipAddresses: ['192.168.1.1'],
    })
    expect(equalBytes(ours.subjectDer, ours.issuerDer)).toBe(true)
    expect(ours.issuer).toBe('O=Self-signed')
  })

  it.each([
    [[]],
    [['']],
    [['a..example']],
    [['a\n.example']],
    [['é.example']],
    [['a'.repeat(64)]],
    [['192.0.2.1']],
    [['a.example.']],
  ])('does not certify %j', async (dnsNames) => {
    await expect(authority.makeLeaf({ dnsNames })).rejects.toThrow(expect.objectContaining({ code: 'CONFIG_INVALID' }))
  })

  it('does not certify addresses it cannot write', async () => {
    await expect(authority.makeLeaf({ ipAddresses: ['fe80::1%eth0'] })).rejects.toThrow('is not an IP address')
    await expect(authority.makeLeaf({ extendedKeyUsages: ['2'] })).rejects.toThrow('is not an extended key usage')
  })

  it('does not sign as somebody else, nor below a leaf', async () => {
    const wrongKey = { certificate: authority.root, keyPem: authority.key }
    await expect(authority.makeLeaf({ issuer: wrongKey })).rejects.toThrow(
      expect.objectContaining({ code: 'CERT_KEY_MISMATCH' }),
    )
    const leaf = { certificate: await authority.makeLeaf(), keyPem: authority.leafKey }
    await expect(authority.makeLeaf({ issuer: leaf })).rejects.toThrow(expect.objectContaining({ code: 'CERT_CHAIN' }))
  })
})
