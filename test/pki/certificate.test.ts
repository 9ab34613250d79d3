import 'reflect-metadata'
import { webcrypto, X509Certificate } from 'node:crypto'
import { rootCertificates } from 'node:tls'
import * as x509 from '@peculiar/x509'
import { beforeAll, describe, expect, it } from 'vitest'
import { toHex } from '../../src/core/bytes.ts'
import { certId, fingerprint, fromPem, parseCertificate, toPem } from '../../src/pki/certificate.ts'
import { Authority, NOW_MS, WHILE_NOW } from './authority.ts'

const unreadable = (message: string): unknown =>
  expect.objectContaining({ code: 'CERT_UNREADABLE', message: expect.stringContaining(message) })

/** RFC 9773 appendix A. Its dates are in year 0 and 1, which is part of the exercise. */
const RENEWAL_EXAMPLE = `-----BEGIN CERTIFICATE-----
MIIBQzCB66ADAgECAgUAh2VDITAKBggqhkjOPQQDAjAVMRMwEQYDVQQDEwpFeGFt
cGxlIENBMCIYDzAwMDEwMTAxMDAwMDAwWhgPMDAwMTAxMDEwMDAwMDBaMBYxFDAS
BgNVBAMTC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeBZu
7cbpAYNXZLbbh8rNIzuOoqOOtmxA1v7cRm//AwyMwWxyHz4zfwmBhcSrf47NUAFf
qzLQ2PPQxdTXREYEnKMjMCEwHwYDVR0jBBgwFoAUaYhba4dGQEHhs3uEe6CuLN4B
yNQwCgYIKoZIzj0EAwIDRwAwRAIge09+S5TZAlw5tgtiVvuERV6cT4mfutXIlwTb
+FYN/8oCIClDsqBklhB9KAelFiYt9+6FDj3z4KGVelYM5MdsO3pK
-----END CERTIFICATE-----
`

describe('parseCertificate', () => {
  let authority: Authority
  beforeAll(async () => {
    authority = await Authority.create()
  })

  it('reads every field', async () => {
    const der = await authority.makeLeaf({
      dnsNames: ['a.example', '*.b.example'],
      ipAddresses: ['192.168.1.1', 'fd00::1'],
    })
    const certificate = parseCertificate(der)
    expect(certificate).toMatchObject({
      subject: 'CN=a.example',
      issuer: 'CN=Test Intermediate',
      ...WHILE_NOW,
      dnsNames: ['a.example', '*.b.example'],
      ipAddresses: ['192.168.1.1', 'fd00::1'],
      isAuthority: false,
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['serverAuth'],
    })
    expect('pathLength' in certificate).toBe(false)
    expect(toHex(certificate.authorityKeyId!)).toBe(toHex(parseCertificate(authority.intermediate).subjectKeyId!))
    expect(certificate.serialHex).toBe(new X509Certificate(der).serialNumber.toLowerCase())
    expect(parseCertificate(authority.intermediate)).toMatchObject({
      subject: 'CN=Test Intermediate',
      isAuthority: true,
      pathLength: 0,
      keyUsages: ['keyCertSign', 'cRLSign'],
    })
  })

  it('reads what another implementation wrote', async () => {
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
    const other = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '00ff01',
      name: 'O=Über\\, x, CN=ca.example',
      notBefore: new Date(NOW_MS),
      notAfter: new Date(Date.UTC(2051, 0, 1)),
      keys,
      signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' },
      extensions: [
        new x509.BasicConstraintsExtension(true, 3, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.decipherOnly, true),
        new x509.ExtendedKeyUsageExtension(['1.3.6.1.5.5.7.3.1', '1.2.3.4']),
        await x509.AuthorityKeyIdentifierExtension.create(keys.publicKey),
        new x509.SubjectAlternativeNameExtension([
          { type: 'email', value: 'a@b' },
          { type: 'url', value: 'urn:x:y' },
          { type: 'guid', value: '12345678-1234-1234-1234-123456789abc' },
        ]),
      ],
    })
    expect(parseCertificate(new Uint8Array(other.rawData))).toMatchObject({
      serialHex: '00ff01',
      subject: 'O=Über\\, x, CN=ca.example',
      notBeforeMs: NOW_MS,
      notAfterMs: Date.UTC(2051, 0, 1),
      isAuthority: true,
      pathLength: 3,
      keyUsages: ['keyCertSign', 'decipherOnly'],
      extendedKeyUsages: ['serverAuth', '1.2.3.4'],
      emails: ['a@b'],
      uris: ['urn:x:y'],
      otherNames: 1,
    })
  })

  it('reads every root of the runtime as OpenSSL does', () => {
    for (const pem of rootCertificates) {
      const theirs = new X509Certificate(pem)
      const ours = parseCertificate(theirs.raw)
      expect(ours).toMatchObject({
        notBeforeMs: Date.parse(theirs.validFrom),
        notAfterMs: Date.parse(theirs.validTo),
        isAuthority: theirs.ca,
      })
      expect(BigInt(`0x${ours.serialHex}`)).toBe(BigInt(`0x${theirs.serialNumber}`))
      expect(Buffer.from(ours.spki).equals(theirs.publicKey.export({ type: 'spki', format: 'der' }))).toBe(true)
    }
  })

  it('refuses a byte more, a byte less, and another structure', () => {
    const { root } = authority
    expect(() => parseCertificate(Buffer.concat([root, Buffer.alloc(1)]))).toThrow(unreadable('too many'))
    expect(() => parseCertificate(root.subarray(0, -1))).toThrow(unreadable('past the end'))
    expect(() => parseCertificate(Buffer.from(toPem([root])))).toThrow(unreadable('tag 0x2d'))
    expect(() => parseCertificate(new Uint8Array())).toThrow(unreadable('missing'))
  })

  it('refuses two different signature algorithms', () => {
    const swapped = Buffer.from(authority.root)
    // ecdsa-with-SHA256 at the outside becomes ecdsa-with-SHA384.
    const at = swapped.lastIndexOf(Buffer.from('06082a8648ce3d040302', 'hex'))
    swapped[at + 9] = 3
    expect(() => parseCertificate(swapped)).toThrow(unreadable('two signature algorithms'))
  })
})

describe('PEM', () => {
  let chain: Uint8Array[]
  beforeAll(async () => {
    const authority = await Authority.create()
    chain = [await authority.makeLeaf(), authority.intermediate]
  })

  it('is written without anything between the blocks (RFC 8555 erratum 5983)', () => {
    const text = toPem(chain)
    expect(text).toMatch(
      /^(-----BEGIN CERTIFICATE-----\n([A-Za-z\d+/]{64}\n)*[A-Za-z\d+/]{1,64}={0,2}\n-----END CERTIFICATE-----\n){2}$/,
    )
    expect(text).toBe(chain.map((der) => new X509Certificate(der).toString()).join(''))
    expect(toPem([])).toBe('')
  })

  it('is read with whatever stands between the blocks', () => {
    const [first, second] = chain.map((der) => toPem([der]))
    const text = `subject=x\r\n${first!.replaceAll('\n', '\r\n')}\n\n# a comment\n${second}-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n`
    expect(fromPem(text).map(toHex)).toEqual(chain.map(toHex))
  })

  it.each([
    ['no certificate', '', 'no certificate'],
    ['a certificate without end', '-----BEGIN CERTIFICATE-----\nAAAA\n', 'block 1 has no end'],
    ['what is not base64', '-----BEGIN CERTIFICATE-----\nAA*A\n-----END CERTIFICATE-----', 'block 1 is not base64'],
    ['base64 cut off', '-----BEGIN CERTIFICATE-----\nAAA\n-----END CERTIFICATE-----', 'block 1 is not base64'],
    ['an empty block', '-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----', 'block 1 is not base64'],
    [
      'eleven certificates',
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'.repeat(11),
      'more than 10',
    ],
    ['far too much text', ' '.repeat(700_000), 'too many'],
  ])('refuses %s', (_, text, message) => {
    expect(() => fromPem(text)).toThrow(unreadable(message))
  })

  it('reads a longer list when asked', () => {
    expect(fromPem(rootCertificates.join('\n'), 1000)).toHaveLength(rootCertificates.length)
  })
})

describe('names of certificates', () => {
  it('has the fingerprint that people compare', () => {
    const [der] = fromPem(RENEWAL_EXAMPLE)
    expect(fingerprint(der!)).toBe(new X509Certificate(der!).fingerprint256)
  })

  it('has the renewal id of RFC 9773 §4.1', async () => {
    const [der] = fromPem(RENEWAL_EXAMPLE)
    expect(certId(der!)).toBe('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')
    expect(parseCertificate(der!).notAfterMs).toBe(Date.parse('0001-01-01T00:00:00Z'))
    const authority = await Authority.create()
    expect(() => certId(authority.root)).toThrow(unreadable('no renewal id'))
  })
})
