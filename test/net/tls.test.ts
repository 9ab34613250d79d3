import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { rootCertificates, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it } from 'vitest'
import type { Endpoint } from '../../src/net/bind.ts'
import { listenOn } from '../../src/net/bind.ts'
import { createTlsServer, type SwappableServer, systemAnchors, type TlsMaterial } from '../../src/net/tls.ts'
import { closeAfterTest, LOOPBACK, tlsSocket, within } from '../support/sockets.ts'
import { TestAuthority } from '../support/tls.ts'

let authority: TestAuthority
let first: TlsMaterial
let second: TlsMaterial
beforeAll(async () => {
  authority = await TestAuthority.create()
  first = await authority.material({ dnsNames: ['first.test'] })
  second = await authority.material({ dnsNames: ['second.test'] })
})

/** An echo server: its tickets and answers can be seen. */
async function echo(
  material: TlsMaterial,
  alpn: readonly string[] = ['dot'],
): Promise<{ tls: SwappableServer; endpoint: Endpoint; accepted: TLSSocket[] }> {
  const accepted: TLSSocket[] = []
  const tls = createTlsServer({ alpn, material }, (socket) => {
    accepted.push(socket)
    socket.on('error', () => {})
    socket.pipe(socket)
  })
  const endpoint = await listenOn(tls.server, LOOPBACK)
  closeAfterTest(tls.server)
  return { tls, endpoint, accepted }
}

const nameOf = (socket: TLSSocket): string | undefined => socket.getPeerCertificate().subjectaltname
async function echoed(socket: TLSSocket, text: string): Promise<string> {
  socket.write(text)
  const [chunk] = await within('the echo', once(socket, 'data'))
  return String(chunk)
}

describe('a new certificate', () => {
  it('is shown to new connections; open ones live on with the old one', async () => {
    const { tls, endpoint } = await echo(first)
    expect(tls.material).toBe(first)
    const before = await tlsSocket(endpoint)
    tls.setMaterial(second)
    expect(tls.material).toBe(second)
    const after = await tlsSocket(endpoint)
    expect([nameOf(before), nameOf(after)]).toEqual(['DNS:first.test', 'DNS:second.test'])
    expect([await echoed(before, 'a'), await echoed(after, 'b')]).toEqual(['a', 'b'])
  })

  it('may have another kind of key', async () => {
    const { tls, endpoint } = await echo(first)
    for (const keyType of ['rsa2048', 'p384', 'p256'] as const) {
      tls.setMaterial(await authority.material({ dnsNames: [`${keyType}.test`], keyType }))
      expect(nameOf(await tlsSocket(endpoint))).toBe(`DNS:${keyType}.test`)
    }
  })

  it.each(['TLSv1.3', 'TLSv1.2'] as const)('leaves %s tickets good', async (version) => {
    const { tls, endpoint } = await echo(first)
    const before = await tlsSocket(endpoint, { minVersion: version, maxVersion: version })
    // In TLS 1.3 tickets come after the handshake, with the first data at the latest.
    await echoed(before, 'a')
    const session = before.getSession()!
    tls.setMaterial(second)
    const after = await tlsSocket(endpoint, { minVersion: version, maxVersion: version, session })
    expect(after.isSessionReused()).toBe(true)
    expect(await echoed(after, 'b')).toBe('b')
  })

  it.each([
    ['an EC key of another certificate', async () => ({ keyPem: first.keyPem, chainPem: second.chainPem })],
    [
      'an RSA certificate with an EC key',
      async () => ({ keyPem: first.keyPem, chainPem: (await authority.material({ keyType: 'rsa2048' })).chainPem }),
    ],
    [
      'an EC certificate with an RSA key',
      async () => ({ keyPem: (await authority.material({ keyType: 'rsa2048' })).keyPem, chainPem: first.chainPem }),
    ],
  ] as const)('%s is refused with CERT_KEY_MISMATCH and the old one stays', async (_, wrong) => {
    const { tls, endpoint } = await echo(first)
    const material = await wrong()
    expect(() => tls.setMaterial(material)).toThrow(expect.objectContaining({ code: 'CERT_KEY_MISMATCH' }))
    expect(tls.material).toBe(first)
    expect(nameOf(await tlsSocket(endpoint))).toBe('DNS:first.test')
    expect(() => createTlsServer({ alpn: ['dot'], material }, () => {})).toThrow(
      expect.objectContaining({ code: 'CERT_KEY_MISMATCH' }),
    )
  })

  it('that cannot be read is refused and the old one stays', async () => {
    const { tls, endpoint } = await echo(first)
    expect(() => tls.setMaterial({ keyPem: first.keyPem, chainPem: 'no certificate' })).toThrow()
    expect(() => tls.setMaterial({ keyPem: 'no key', chainPem: first.chainPem })).toThrow()
    expect(tls.material).toBe(first)
    expect(nameOf(await tlsSocket(endpoint))).toBe('DNS:first.test')
  })
})

describe('protocols', () => {
  it('with ALPN, without it, and with a foreign one only', async () => {
    const { endpoint } = await echo(first, ['h2', 'http/1.1'])
    expect((await tlsSocket(endpoint, { ALPNProtocols: ['http/1.1', 'h2'] })).alpnProtocol).toBe('h2')
    expect((await tlsSocket(endpoint)).alpnProtocol).toBe(false)
    await expect(tlsSocket(endpoint, { ALPNProtocols: ['dot'] })).rejects.toThrow(/no application protocol/i)
  })

  it('TLS 1.3 and 1.2, still after a swap', async () => {
    const { tls, endpoint } = await echo(first)
    tls.setMaterial(second)
    expect((await tlsSocket(endpoint)).getProtocol()).toBe('TLSv1.3')
    expect((await tlsSocket(endpoint, { maxVersion: 'TLSv1.2' })).getProtocol()).toBe('TLSv1.2')
    await expect(tlsSocket(endpoint, { minVersion: 'TLSv1', maxVersion: 'TLSv1.1' })).rejects.toThrow()
  })
})

it('systemAnchors are the roots of this runtime, parsed once', () => {
  const anchors = systemAnchors()
  expect(anchors.length).toBe(rootCertificates.length)
  expect(new X509Certificate(anchors[0]!).ca).toBe(true)
  expect(systemAnchors()).toBe(anchors)
})
