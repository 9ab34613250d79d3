import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { rootCertificates, type TLSSocket } from 'node:tls'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
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
  accept: (socket: Socket) => boolean = () => true,
): Promise<{ tls: SwappableServer; endpoint: Endpoint; accepted: TLSSocket[] }> {
  const accepted: TLSSocket[] = []
  const tls = createTlsServer({ alpn, material, accept }, (socket) => {
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

describe('a connection that is not accepted', () => {
  it('is closed before any TLS work, the others are served', async () => {
    let open = false
    const { endpoint, accepted } = await echo(first, ['dot'], () => open)
    const refused = connect(endpoint)
    const received: Buffer[] = []
    refused.on('error', () => {}).on('data', (chunk) => received.push(chunk))
    refused.write(Buffer.from('16030100050100000100', 'hex'))
    await within('the end of the connection', once(refused, 'close'))
    expect([received, accepted]).toEqual([[], []])
    open = true
    expect(await echoed(await tlsSocket(endpoint), 'a')).toBe('a')
  })
})

describe('resumption', () => {
  const resumes = async (endpoint: Endpoint, session: Buffer, maxVersion: 'TLSv1.3' | 'TLSv1.2'): Promise<boolean> => {
    const socket = await tlsSocket(endpoint, { session, maxVersion })
    return socket.isSessionReused()
  }

  it.each(['TLSv1.3', 'TLSv1.2'] as const)('%s tickets are good until their keys are replaced', async (version) => {
    const { tls, endpoint } = await echo(first)
    const before = await tlsSocket(endpoint, { maxVersion: version })
    await echoed(before, 'a')
    const session = before.getSession()!
    expect(await resumes(endpoint, session, version)).toBe(true)
    tls.rotateTickets()
    expect(await resumes(endpoint, session, version)).toBe(false)
    const after = await tlsSocket(endpoint, { maxVersion: version })
    await echoed(after, 'b')
    expect(await resumes(endpoint, after.getSession()!, version)).toBe(true)
  })

  it('the keys are replaced twice a day, until the server is closed', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => void vi.useRealTimers())
    const { tls, endpoint } = await echo(first)
    const before = await tlsSocket(endpoint)
    await echoed(before, 'a')
    const session = before.getSession()!
    vi.advanceTimersByTime(11 * 3_600_000)
    expect(await resumes(endpoint, session, 'TLSv1.3')).toBe(true)
    vi.advanceTimersByTime(3_600_000)
    expect(await resumes(endpoint, session, 'TLSv1.3')).toBe(false)
    expect(vi.getTimerCount()).toBe(1)
    tls.server.emit('close')
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('ciphers', () => {
  it.each([
    [
      'a client without AES instructions gets ChaCha20',
      'TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384',
      'CHACHA20',
    ],
    [
      'any other gets AES with 128 bits',
      'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256',
      'AES_128',
    ],
  ])('%s', async (_, ciphers, expected) => {
    const { endpoint } = await echo(first)
    expect((await tlsSocket(endpoint, { ciphers })).getCipher().name).toContain(expected)
  })

  it('CBC and key exchange without forward secrecy are refused in TLS 1.2 (RFC 9325 section 4)', async () => {
    const { endpoint } = await echo(await authority.material({ keyType: 'rsa2048' }))
    for (const ciphers of ['ECDHE-RSA-AES128-SHA256', 'AES128-GCM-SHA256'])
      await expect(tlsSocket(endpoint, { maxVersion: 'TLSv1.2', ciphers })).rejects.toThrow()
    expect((await tlsSocket(endpoint, { maxVersion: 'TLSv1.2' })).getCipher().name).toBe('ECDHE-RSA-AES128-GCM-SHA256')
  })

  it('a client cannot renegotiate (RFC 8310 section 9)', async () => {
    const { endpoint } = await echo(first)
    const socket = await tlsSocket(endpoint, { maxVersion: 'TLSv1.2' })
    const failed = once(socket, 'error')
    socket.renegotiate({ rejectUnauthorized: false }, () => {})
    const [error] = await within('the refusal', failed)
    expect(String(error)).toMatch(/no renegotiation/i)
  })
})

it('systemAnchors are the roots of this runtime, parsed once', () => {
  const anchors = systemAnchors()
  expect(anchors.length).toBe(rootCertificates.length)
  expect(new X509Certificate(anchors[0]!).ca).toBe(true)
  expect(systemAnchors()).toBe(anchors)
})
