import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { certId, fingerprint, fromPem, parseCertificate, toPem } from '../../src/pki/certificate.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { generateKey, type KeyType, spkiOf } from '../../src/pki/key.ts'
import { createIntermediate, createRoot, selfSign, signLeaf } from '../../src/pki/sign.ts'
import type { SignatureName } from '../../src/pki/signature.ts'

// OpenSSL judges by the clock of the machine.
const NOW_MS = Math.floor(Date.now() / 1000) * 1000
const VALID = { notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS + 3_600_000 }
const SCOPE = { dnsNames: ['home.arpa'], prefixes: ['192.168.0.0/16'] }

describe('what we make, read by OpenSSL', () => {
  const directory = mkdtempSync(join(tmpdir(), 'hearth-pki-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  const file = (name: string, content: string | Uint8Array): string => {
    const path = join(directory, name)
    writeFileSync(path, content)
    return path
  }
  const openssl = (...args: string[]): string => {
    const { status, stdout, stderr } = spawnSync('openssl', args, { encoding: 'utf8' })
    return `${status} ${stdout}${stderr}`
  }

  describe.each<KeyType>(['p256', 'p384', 'ed25519', 'rsa2048'])('chains of %s keys', (type) => {
    const keys: string[] = []
    let root: Uint8Array
    let intermediate: Uint8Array
    beforeAll(async () => {
      for (let count = 0; count < 3; count++) keys.push(await generateKey(type))
      root = await createRoot({
        commonName: 'Home CA 12ab34cd',
        organization: 'ISP, Inc.',
        keyPem: keys[0]!,
        scope: SCOPE,
        ...VALID,
      })
      const urls = { crlUrl: 'http://ca.home.arpa/root.crl', issuerUrl: 'http://ca.home.arpa/root.cer' }
      const issuer = { certificate: root, keyPem: keys[0]! }
      intermediate = await createIntermediate({
        commonName: 'Home CA 12ab34cd 1',
        issuer,
        spki: spkiOf(keys[1]!),
        scope: SCOPE,
        ...urls,
        ...VALID,
      })
    })

    const verify = async (dnsNames: string[], ipAddresses: string[], ...checks: string[]): Promise<string> => {
      const issuer = { certificate: intermediate, keyPem: keys[1]! }
      const leaf = await signLeaf({
        issuer,
        spki: spkiOf(keys[2]!),
        dnsNames,
        ipAddresses,
        noRevocation: true,
        ...VALID,
      })
      const [anchor, chain] = [file('root.pem', toPem([root])), file('chain.pem', toPem([leaf, intermediate]))]
      return openssl(
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-CAfile',
        anchor,
        '-untrusted',
        chain,
        ...checks,
        chain,
      )
    }

    it('pass the strict checks', async () => {
      const checks = ['-verify_hostname', 'nas.home.arpa', '-verify_ip', '192.168.1.9']
      expect(await verify(['nas.home.arpa', '*.nas.home.arpa'], ['192.168.1.9'], ...checks)).toMatch(/^0 .*OK/)
    })

    it('fail outside the names their CAs are confined to', async () => {
      expect(await verify(['bank.example'], [])).toContain('permitted subtree violation')
      expect(await verify(['nas.home.arpa'], ['8.8.8.8'])).toContain('permitted subtree violation')
      expect(await verify(['nas.home.arpa'], ['fd00::1'])).toContain('subtree violation')
    })
  })

  it('trusts a self-signed certificate that is its own anchor', async () => {
    const keyPem = await generateKey('p256')
    const der = await selfSign({ keyPem, dnsNames: ['cpe7.home.arpa'], ipAddresses: ['192.168.1.1'], ...VALID })
    const path = file('self.pem', toPem([der]))
    expect(openssl('verify', '-x509_strict', '-CAfile', path, '-verify_ip', '192.168.1.1', path)).toMatch(/^0 .*OK/)
    const print = openssl('x509', '-in', path, '-noout', '-fingerprint', '-sha256')
    expect(print).toContain(fingerprint(der))
  })

  it.each<[KeyType, SignatureName]>([
    ['p256', 'ecdsa-with-SHA256'],
    ['p384', 'ecdsa-with-SHA384'],
    ['ed25519', 'Ed25519'],
    ['rsa2048', 'sha256WithRSAEncryption'],
    ['rsa2048', 'sha384WithRSAandMGF1'],
  ])('accepts a request for a %s key signed with %s', async (type, signatureAlgorithm) => {
    const csr = await createCsr({
      keyPem: await generateKey(type),
      dnsNames: ['cpe7.isp.example'],
      keyUsages: ['digitalSignature'],
      extendedKeyUsages: ['serverAuth'],
      signatureAlgorithm,
    })
    const text = openssl('req', '-inform', 'DER', '-in', file('csr.der', csr), '-verify', '-noout', '-text')
    expect(text).toMatch(/^0 /)
    expect(text).toMatch(/verify OK/i)
    expect(text).toMatch(/DNS:cpe7\.isp\.example\s[\s\S]*Digital Signature\s[\s\S]*TLS Web Server Authentication/)
  })
})

describe('what OpenSSL makes, read by us', () => {
  it('reads its requests and certificates', () => {
    const common = [
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-keyout',
      '/dev/null',
      '-subj',
      '/O=ISP, Inc./CN=a.example',
    ]
    const extensions = ['-addext', 'subjectAltName=DNS:a.example,IP:fd00::1,email:noc@a.example']
    const request = execFileSync('openssl', ['req', '-new', '-outform', 'DER', ...common, ...extensions], {
      stdio: 'pipe',
    })
    expect(parseCsr(request)).toMatchObject({
      subject: [[{ oid: '2.5.4.10', value: 'ISP, Inc.' }], [{ oid: '2.5.4.3', value: 'a.example' }]],
      signatureAlgorithm: 'ecdsa-with-SHA256',
      dnsNames: ['a.example'],
      ipAddresses: ['fd00::1'],
      emails: ['noc@a.example'],
    })
    const pem = execFileSync('openssl', ['req', '-x509', '-days', '30', '-text', ...common, ...extensions], {
      stdio: 'pipe',
      encoding: 'utf8',
    })
    const [der] = fromPem(pem)
    expect(parseCertificate(der!)).toMatchObject({
      subject: String.raw`O=ISP\, Inc., CN=a.example`,
      isAuthority: true,
      dnsNames: ['a.example'],
    })
    expect(certId(der!)).toMatch(/^[\w-]{27}\.[\w-]+$/)
  })
})
