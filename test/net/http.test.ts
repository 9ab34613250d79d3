import { spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { request as requestHttp } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createLog } from '../../src/core/log.ts'
import { listenOn } from '../../src/net/bind.ts'
import {
  createHttpTransport,
  type HttpCertificate,
  type HttpRequest,
  type HttpResponse,
  type HttpServing,
  requestOverSocket,
  serveHttp,
  serveHttpOnSocket,
} from '../../src/net/http.ts'
import { toPem } from '../../src/pki/certificate.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { createRoot, type SigningAuthority, signLeaf } from '../../src/pki/sign.ts'

const HOUR_MS = 3_600_000

let root: SigningAuthority
let rootPem: string
let tls: HttpCertificate
let home: string

async function certify(
  names: { dns?: string; ip?: string },
  notAfterMs = Date.now() + HOUR_MS,
): Promise<HttpCertificate> {
  const key = await generateKey('p256')
  const leaf = await signLeaf({
    issuer: root,
    spki: spkiOf(key),
    dnsNames: names.dns ? [names.dns] : [],
    ipAddresses: names.ip ? [names.ip] : [],
    notBeforeMs: notAfterMs - 2 * HOUR_MS,
    notAfterMs,
  })
  return { key, cert: toPem([leaf]) }
}

beforeAll(async () => {
  const keyPem = await generateKey('p256')
  const validity = { notBeforeMs: Date.now() - HOUR_MS, notAfterMs: Date.now() + HOUR_MS }
  root = { keyPem, certificate: await createRoot({ keyPem, commonName: 'Test root', pathLength: 0, ...validity }) }
  rootPem = toPem([root.certificate])
  tls = await certify({ dns: 'localhost', ip: '127.0.0.1' })
  home = await mkdtemp(join(tmpdir(), 'hearth-http-'))
})
afterAll(() => rm(home, { recursive: true }))

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const ok = (body: string | Uint8Array = 'ok', headers: HttpResponse['headers'] = {}): HttpResponse => ({
  status: 200,
  headers,
  body,
})
const quiet = createLog('silent')

async function serve(handler: HttpServing['handler'], options: { tls?: HttpCertificate; bodyBytesMax?: number } = {}) {
  const server = await serveHttp({ host: '127.0.0.1', port: 0, handler, log: quiet, ...options })
  closing.push(() => server.close())
  return { ...server, url: `${options.tls ? 'https' : 'http'}://127.0.0.1:${server.port}` }
}

function client(options: Partial<Parameters<typeof createHttpTransport>[0]> = {}) {
  const transport = createHttpTransport({ ca: [rootPem], userAgent: 'test', allowHttp: true, ...options })
  closing.push(() => transport.close())
  return transport
}

/** A server that does what it likes with the bare connection. */
async function serveRaw(onConnection: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => {}))
    onConnection(socket)
  })
  const { port } = await listenOn(server, { host: '127.0.0.1', port: 0 })
  closing.push(() => {
    sockets.forEach((socket) => socket.destroy())
    server.close()
  })
  return `http://127.0.0.1:${port}/`
}

async function overHttp2(url: string, headers: Record<string, string>, body?: Uint8Array) {
  const session = connectHttp2(url, { ca: rootPem })
  closing.push(() => session.destroy())
  const stream = session.request(headers, { endStream: body === undefined })
  if (body) stream.end(body)
  const [answered] = await once(stream, 'response')
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return { headers: answered, body: Buffer.concat(chunks).toString() }
}

describe('the server', () => {
  it.each(['http', 'https'])('hands on the request untouched over %s', async (scheme) => {
    const seen: HttpRequest[] = []
    const { url } = await serve(
      async (request) => ok('', { 'x-n': String(seen.push(request)) }),
      scheme === 'https' ? { tls } : {},
    )
    const body = Uint8Array.from({ length: 256 }, (_, n) => n)
    const headers = { 'Content-Type': 'application/jose+json', 'X-Twice': 'a' }
    await client()({ method: 'POST', url: `${url}/a%2Fb/%20c?x=1&x=2?&y`, headers, body })
    expect(seen[0]).toMatchObject({
      method: 'POST',
      path: '/a%2Fb/%20c',
      headers: { 'content-type': 'application/jose+json', 'x-twice': 'a', 'user-agent': 'test' },
      remoteAddress: '127.0.0.1',
    })
    expect(seen[0]?.query.getAll('x')).toEqual(['1', '2?'])
    expect(Buffer.compare(seen[0]!.body, body)).toBe(0)
  })

  it('speaks HTTP/2 on the same port', async () => {
    const seen: HttpRequest[] = []
    const { url } = await serve(
      async (request) => ok(`n=${seen.push(request)}`, { link: ['<a>;rel="up"', '<b>;rel="index"'] }),
      { tls },
    )
    const { headers, body } = await overHttp2(
      url,
      { ':method': 'POST', ':path': '/x?y=1', 'x-a': 'b' },
      Buffer.from([0, 255]),
    )
    expect({ status: headers[':status'], body }).toEqual({ status: 200, body: 'n=1' })
    expect(seen[0]).toMatchObject({
      method: 'POST',
      path: '/x',
      headers: { 'x-a': 'b', host: url.slice(8) },
      remoteAddress: '127.0.0.1',
    })
    expect([...seen[0]!.body]).toEqual([0, 255])
  })

  it('sends each value of a list on a line of its own', async () => {
    const { port } = await serve(async () => ok('', { link: ['<a>;rel="up"', '<b>;rel="index"'] }))
    const [response] = await once(requestHttp({ host: '127.0.0.1', port, agent: false }).end(), 'response')
    response.resume()
    expect(
      response.rawHeaders.filter((_: string, n: number) => /link/i.test(response.rawHeaders[n - 1] ?? '')),
    ).toEqual(['<a>;rel="up"', '<b>;rel="index"'])
  })

  it('answers HEAD without a body and 204 without a length', async () => {
    const { url } = await serve(async ({ path }) => ({ ...ok('hello'), status: path === '/none' ? 204 : 200 }), { tls })
    expect(await client()({ method: 'HEAD', url })).toMatchObject({
      status: 200,
      headers: { 'content-length': '5' },
      body: Buffer.alloc(0),
    })
    expect((await client()({ method: 'GET', url: `${url}/none` })).headers['content-length']).toBeUndefined()
    expect((await overHttp2(url, { ':method': 'HEAD', ':path': '/' })).body).toBe('')
  })

  it('refuses bodies over the bound, announced or not, and goes on', async () => {
    const { url, port } = await serve(async ({ body }) => ok(String(body.length)), { bodyBytesMax: 1000, tls })
    const transport = client()
    expect((await transport({ method: 'POST', url, body: new Uint8Array(1001) })).status).toBe(413)
    expect(Buffer.from((await transport({ method: 'POST', url, body: new Uint8Array(1000) })).body).toString()).toBe(
      '1000',
    )
    expect((await overHttp2(url, { ':method': 'POST', ':path': '/' }, new Uint8Array(5000))).headers[':status']).toBe(
      413,
    )
    const chunked = connectTls({ host: '127.0.0.1', port, ca: rootPem, ALPNProtocols: ['http/1.1'] })
    chunked.write('POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n')
    chunked.write(Buffer.alloc(2000))
    expect(String((await once(chunked, 'data'))[0])).toMatch(/^HTTP\/1.1 413 /)
    chunked.destroy()
  })

  it('answers 500 and reports when the handler fails, and tells the client nothing', async () => {
    const lines: string[] = []
    const handler = async (): Promise<HttpResponse> => {
      throw new Error('secret detail')
    }
    const log = createLog('info', { write: (line) => void lines.push(line) })
    const server = await serveHttp({ host: '127.0.0.1', port: 0, handler, log })
    closing.push(() => server.close())
    const response = await client()({ method: 'GET', url: `http://127.0.0.1:${server.port}` })
    expect(response.status).toBe(500)
    expect(Buffer.from(response.body).toString()).toBe('internal error\n')
    expect(lines.join('')).toContain('secret detail')
  })

  it('survives clients that go away in the middle', async () => {
    const { url, port } = await serve(async () => ok())
    const socket = connect(port, '127.0.0.1')
    socket.write('POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nhalf')
    await once(socket, 'connect')
    socket.destroy()
    const bad = connect(port, '127.0.0.1')
    bad.write('\x16\x03\x01 nonsense\r\n\r\n')
    expect(String((await once(bad, 'data'))[0])).toMatch(/^HTTP\/1.1 400 /)
    expect((await client()({ method: 'GET', url })).status).toBe(200)
  })

  it('names the address that is taken or may not be used', async () => {
    const { port } = await serve(async () => ok())
    const again = serveHttp({ host: '127.0.0.1', port, handler: async () => ok() })
    await expect(again).rejects.toMatchObject({ code: 'PORT_IN_USE', message: `127.0.0.1:${port} is in use` })
    await expect(serveHttp({ host: '192.0.2.1', port, handler: async () => ok() })).rejects.toMatchObject({
      code: 'ADDRESS_UNKNOWN',
    })
  })

  it('admits so many connections of one client and no more', async () => {
    const { port } = await serve(async () => ok())
    const sockets = Array.from({ length: 257 }, () => connect(port, '127.0.0.1').on('error', () => {}))
    const refused = await Promise.race(sockets.map(async (socket) => once(socket, 'close').then(() => socket)))
    expect(refused).toBe(sockets[256])
    sockets.forEach((socket) => socket.destroy())
  })

  it('shows the new certificate to new connections and keeps the old ones open', async () => {
    const server = await serve(async () => ok(), { tls })
    const old = connectTls({ host: '127.0.0.1', port: server.port, ca: rootPem, ALPNProtocols: ['http/1.1'] })
    await once(old, 'secureConnect')
    const next = await certify({ dns: 'next.example', ip: '127.0.0.1' })
    expect(() => server.setCertificate({ key: tls.key, cert: next.cert })).toThrow(
      expect.objectContaining({ code: 'CERT_KEY_MISMATCH' }),
    )
    server.setCertificate(next)
    const fresh = connectTls({ host: '127.0.0.1', port: server.port, ca: rootPem })
    await once(fresh, 'secureConnect')
    expect(fresh.getPeerCertificate().subjectaltname).toContain('next.example')
    old.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(String((await once(old, 'data'))[0])).toMatch(/^HTTP\/1.1 200 /)
    fresh.destroy()
    old.destroy()
  })

  it.each(['http', 'https'])('lets requests under way end when it closes (%s)', async (scheme) => {
    let answer = (): void => {}
    const handling = new EventEmitter()
    const handler = (): Promise<HttpResponse> => {
      handling.emit('begun')
      return new Promise((resolve) => {
        answer = () => resolve(ok('late'))
      })
    }
    const server = await serveHttp({ host: '127.0.0.1', port: 0, handler, ...(scheme === 'https' ? { tls } : {}) })
    const response = client()({ method: 'GET', url: `${scheme}://127.0.0.1:${server.port}` })
    await once(handling, 'begun')
    const closed = server.close()
    answer()
    expect(Buffer.from((await response).body).toString()).toBe('late')
    await closed
  })
})

describe('the client', () => {
  it('uses one connection again', async () => {
    let connections = 0
    const url = await serveRaw((socket) => {
      connections++
      socket.on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'))
    })
    const transport = client()
    for (let n = 0; n < 3; n++) await transport({ method: 'GET', url })
    expect(connections).toBe(1)
  })

  it('follows no redirect', async () => {
    const { url } = await serve(async () => ({
      status: 302,
      headers: { location: 'https://elsewhere.example/' },
      body: '',
    }))
    expect(await client()({ method: 'GET', url })).toMatchObject({
      status: 302,
      headers: { location: 'https://elsewhere.example/' },
    })
  })

  it('joins a header that comes several times', async () => {
    const { url } = await serve(async () => ok('', { link: ['<a>', '<b>'] }), { tls })
    expect((await client()({ method: 'GET', url })).headers['link']).toBe('<a>, <b>')
  })

  it.each<[string, () => Promise<HttpCertificate>, string, string]>([
    [
      'another name',
      () => certify({ dns: 'other.example' }),
      'https://localhost',
      'its certificate is for another name',
    ],
    [
      'old',
      () => certify({ dns: 'localhost', ip: '127.0.0.1' }, Date.now() - HOUR_MS),
      'https://127.0.0.1',
      'its certificate has expired',
    ],
  ])('says which check a certificate failed: %s', async (_what, certificate, origin, reason) => {
    const { port } = await serve(async () => ok(), { tls: await certificate() })
    const url = `${origin}:${port}/directory`
    await expect(client()({ method: 'GET', url })).rejects.toMatchObject({
      code: 'HTTP_UNREACHABLE',
      message: `GET ${url}: ${url.split('/')[2]}: ${reason}`,
      facts: { reason, url },
    })
  })

  it('trusts the given roots instead of those of the system', async () => {
    const { url } = await serve(async () => ok(), { tls })
    await expect(client({ ca: [tls.cert] })({ method: 'GET', url })).rejects.toThrow('does not lead to a trust anchor')
    const transport = createHttpTransport({ userAgent: 'test' })
    await expect(transport({ method: 'GET', url })).rejects.toThrow('does not lead to a trust anchor')
    transport.close()
  })

  it.each([
    ['ftp://127.0.0.1/', 'is not an https URL'],
    ['http://127.0.0.1/', 'is not an https URL'],
    ['nonsense', 'is not an https URL'],
    ['https://127.0.0.1:1/', 'nobody listens there'],
    ['https://no-such-host.invalid/', /the name/],
  ])('does not get to %s', async (url, reason) => {
    await expect(client({ allowHttp: false })({ method: 'GET', url })).rejects.toThrow(reason)
  })

  it.each([
    ['silence', ''],
    ['half a header', 'HTTP/1.1 200 OK\r\nX-A: '],
    ['half a body', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'],
  ])('gives up after its time: %s', async (_what, bytes) => {
    const url = await serveRaw((socket) => socket.write(bytes))
    await expect(client({ timeoutMs: 100 })({ method: 'GET', url })).rejects.toThrow('no whole answer within 100 ms')
  })

  it('takes no more than its bound', async () => {
    const url = await serveRaw((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      const more = setInterval(() => socket.write(Buffer.alloc(60_000)), 1)
      socket.on('close', () => clearInterval(more))
    })
    await expect(client({ bodyBytesMax: 100_000 })({ method: 'GET', url })).rejects.toThrow('larger than 100000 bytes')
  })

  it.each([
    ['a closed connection', (socket: Socket) => void socket.end(), 'it closed the connection'],
    [
      'half a body',
      (socket: Socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'),
      'it closed the connection',
    ],
    ['no HTTP', (socket: Socket) => void socket.end('220 mail.example ESMTP\r\n'), 'the connection failed'],
  ])('names %s', async (_what, onConnection, reason) => {
    await expect(client()({ method: 'GET', url: await serveRaw(onConnection) })).rejects.toThrow(reason)
  })

  it.each([0, 30])('ends with the reason of the signal after %i ms', async (ms) => {
    const url = await serveRaw(() => {})
    const aborting = new AbortController()
    const reason = new Error('shutting down')
    if (ms === 0) aborting.abort(reason)
    else setTimeout(() => aborting.abort(reason), ms)
    await expect(client()({ method: 'GET', url, signal: aborting.signal })).rejects.toBe(reason)
  })
})

describe('the unix socket', () => {
  const request = { method: 'POST', path: '/v1/x', body: Buffer.from('{}') }

  it('answers its own user only, and goes away with the server', async () => {
    const path = join(home, 'admin.sock')
    const server = await serveHttpOnSocket({
      path,
      handler: async ({ body, remoteAddress }) => ok(`${body.length}${remoteAddress}`),
    })
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect(Buffer.from((await requestOverSocket(path, request)).body).toString()).toBe('2')
    await expect(serveHttpOnSocket({ path, handler: async () => ok() })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    expect((await requestOverSocket(path, request)).status).toBe(200)
    await server.close()
    await expect(stat(path)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(requestOverSocket(path, request)).rejects.toMatchObject({ code: 'NOT_RUNNING' })
  })

  it('replaces the socket of a process that was killed', async () => {
    const path = join(home, 'stale.sock')
    const child = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => console.log('up'))`,
    ])
    await once(child.stdout, 'data')
    child.kill('SIGKILL')
    await once(child, 'exit')
    expect((await stat(path)).isSocket()).toBe(true)
    await expect(requestOverSocket(path, request)).rejects.toMatchObject({ code: 'NOT_RUNNING' })
    const server = await serveHttpOnSocket({ path, handler: async () => ok() })
    expect((await requestOverSocket(path, request)).status).toBe(200)
    await server.close()
  })

  it('says when no socket can be made', async () => {
    const path = join(home, 'no', 'such', 'admin.sock')
    await expect(serveHttpOnSocket({ path, handler: async () => ok() })).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
    })
    const long = join(home, 'x'.repeat(120))
    await expect(serveHttpOnSocket({ path: long, handler: async () => ok() })).rejects.toMatchObject({
      code: 'STATE_UNWRITABLE',
    })
    await writeFile(join(home, 'file'), 'x')
    await expect(serveHttpOnSocket({ path: join(home, 'file', 's'), handler: async () => ok() })).rejects.toMatchObject(
      { code: 'STATE_UNWRITABLE' },
    )
  })
})
