import { createServer } from 'node:net'
import { networkInterfaces } from 'node:os'
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import type { Log } from '../../src/core/log.ts'
import { TYPE } from '../../src/dns/codes.ts'
import { parseMessage } from '../../src/dns/message.ts'
import { listenOn } from '../../src/net/bind.ts'
import type { TlsMaterial } from '../../src/net/tls.ts'
import type { EncryptedListener } from '../../src/router/listen/listener.ts'
import { Listening } from '../../src/router/listening.ts'
import type { ListenConfig } from '../../src/router/settings/listen.ts'
import { silentLog } from '../support/log.ts'
import { queryWire, resolverOf, responseWire } from '../support/query.ts'
import { askUdp, closedPort, LOOPBACK, tcpClient, tlsClient, tlsSocket } from '../support/sockets.ts'
import { TestAuthority } from '../support/tls.ts'

let material: TlsMaterial
let other: TlsMaterial
beforeAll(async () => {
  const authority = await TestAuthority.create()
  material = await authority.material({ dnsNames: ['one.test'] })
  other = await authority.material({ dnsNames: ['two.test'] })
})

const NOTHING: ListenConfig = {
  do53: [],
  dot: [],
  doh: [],
  http2: 'own',
  connections: 64,
  'connections-per-client': 64,
  'udp-batches': 'off',
}
const at = (port: number, host = '127.0.0.1') => ({ host, port })

function listening(log: Log = silentLog): Listening {
  const answering = resolverOf(({ view }) => ({
    kind: 'answer',
    wire: responseWire(view.wire, ['192.0.2.1']),
    from: 'test',
  }))
  const made = new Listening({ clock: systemClock, log }, answering, material)
  onTestFinished(() => made.stop())
  return made
}

const answers = async (wire: Promise<Uint8Array>): Promise<unknown> => parseMessage(await wire)?.answers[0]?.data
const ANSWER = { address: '192.0.2.1' }
const QUERY = queryWire('www.example', TYPE.A)

describe('a reload of `listen`', () => {
  it('opens what is new and leaves the rest alone, open connections included', async () => {
    const [first, second] = [await closedPort(), await closedPort()]
    const all = listening()
    await all.apply({ ...NOTHING, dot: [at(first)] })
    const before = all.listeners
    const client = await tlsClient(at(first))
    expect(await answers(client.ask(QUERY))).toEqual(ANSWER)

    await all.apply({ ...NOTHING, do53: [at(second)], dot: [at(first)] })
    expect(all.listeners).toContain(before[0])
    expect(await answers(client.ask(QUERY))).toEqual(ANSWER)
    expect(await answers(askUdp(at(second), QUERY))).toEqual(ANSWER)
    expect(await answers((await tcpClient(at(second))).ask(QUERY))).toEqual(ANSWER)
  })

  it('another `http2` is another listener at the same address', async () => {
    const port = await closedPort()
    const all = listening()
    await all.apply({ ...NOTHING, doh: [at(port)] })
    const [own] = all.listeners
    await all.apply({ ...NOTHING, doh: [at(port)], http2: 'node' })
    const [node] = all.listeners
    expect(node).not.toBe(own)
    expect((await tlsSocket(at(port), { ALPNProtocols: ['h2'] })).alpnProtocol).toBe('h2')
    await all.apply({ ...NOTHING, doh: [at(port)], http2: 'node' })
    expect(all.listeners).toEqual([node])
  })

  it('closes what is no longer wanted', async () => {
    const port = await closedPort()
    const all = listening()
    await all.apply({ ...NOTHING, dot: [at(port)] })
    const client = await tlsClient(at(port))
    await all.apply(NOTHING)
    expect(all.listeners).toEqual([])
    await client.closed
    await expect(tlsSocket(at(port))).rejects.toThrow('ECONNREFUSED')
  })

  it('moves a port from one address to all of them and back', async () => {
    const port = await closedPort()
    const all = listening()
    await all.apply({ ...NOTHING, do53: [at(port)] })
    await all.apply({ ...NOTHING, do53: [at(port, '0.0.0.0')] })
    expect(await answers((await tcpClient(at(port, '127.0.0.2'))).ask(QUERY))).toEqual(ANSWER)
    expect(await answers(askUdp(at(port), QUERY))).toEqual(ANSWER)
    await all.apply({ ...NOTHING, do53: [at(port)] })
    expect(await answers(askUdp(at(port), QUERY))).toEqual(ANSWER)
  })

  it('changes nothing when one of the new addresses is taken', async () => {
    const [port, free] = [await closedPort(), await closedPort()]
    const squatter = createServer()
    const taken = await listenOn(squatter, { ...LOOPBACK, host: '127.0.0.3', port })
    onTestFinished(() => new Promise<void>((resolve) => void squatter.close(() => resolve())))
    const all = listening()
    await all.apply({ ...NOTHING, dot: [at(port)] })
    await expect(all.apply({ ...NOTHING, do53: [at(free)], dot: [at(taken.port, '0.0.0.0')] })).rejects.toMatchObject({
      code: 'PORT_IN_USE',
    })
    expect(all.listeners.map(({ transport, endpoint }) => ({ transport, endpoint }))).toEqual([
      { transport: 'dot', endpoint: at(port) },
    ])
    expect(await answers((await tlsClient(at(port))).ask(QUERY))).toEqual(ANSWER)
    expect(await closedPortIs(free)).toBe(true)
  })

  it('what cannot be opened again after a failure is opened as soon as it can be', async () => {
    const port = await closedPort()
    const squatter = createServer()
    let squat: Promise<unknown> | undefined
    let isDue = false
    const log: Log = Object.assign(Object.create(silentLog) as Log, {
      // The first of the new listeners is open, the old ones are closed.
      info: () => (squat ??= isDue ? listenOn(squatter, at(port)) : undefined),
    })
    const all = listening(log)
    await all.apply({ ...NOTHING, do53: [at(port)] })
    isDue = true
    await expect(all.apply({ ...NOTHING, do53: [at(port, '0.0.0.0')] })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    await squat
    await new Promise<void>((resolve) => void squatter.close(() => resolve()))
    await all.apply({ ...NOTHING, do53: [at(port)] })
    expect(await answers((await tcpClient(at(port))).ask(QUERY))).toEqual(ANSWER)
    expect(await answers(askUdp(at(port), QUERY))).toEqual(ANSWER)
  })

  it('is not undone by a look at the interfaces that began before it was done', async () => {
    const [first, second] = [await closedPort(), await closedPort()]
    const all = listening()
    await all.apply({ ...NOTHING, dot: [at(first)] })
    const change = all.apply({ ...NOTHING, dot: [at(second)] })
    const look = all.look()
    await change
    await look
    expect(all.listeners.map(({ endpoint }) => endpoint)).toEqual([at(second)])
  })

  it('a look that finds nothing new gives no listener its certificate again', async () => {
    const port = await closedPort()
    const all = listening()
    await all.apply({ ...NOTHING, dot: [at(port)] })
    const [listener] = all.listeners as [EncryptedListener]
    const setMaterial = vi.spyOn(listener, 'setMaterial')
    await all.look()
    expect(setMaterial).not.toHaveBeenCalled()
  })

  it('a listener opened later shows the certificate of now', async () => {
    const [first, second] = [await closedPort(), await closedPort()]
    const all = listening()
    await all.apply({ ...NOTHING, dot: [at(first)] })
    all.present(other)
    await all.apply({ ...NOTHING, dot: [at(first), at(second)] })
    for (const port of [first, second]) {
      const socket = await tlsSocket(at(port))
      expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:two.test')
    }
  })
})

describe('UDP on all addresses', () => {
  it('answers from each address by a socket of its own, so that the answer leaves from where it was asked', async () => {
    const port = await closedPort()
    const all = listening()
    await all.apply({ ...NOTHING, do53: [at(port, '0.0.0.0')] })
    const hosts = all.listeners.filter(({ transport }) => transport === 'udp').map(({ endpoint }) => endpoint.host)
    const own = Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).filter(({ family }) => family === 'IPv4'),
    )
    expect(hosts.toSorted()).toEqual(own.map(({ address }) => address).toSorted())
    expect(await answers(askUdp(at(port), QUERY))).toEqual(ANSWER)
  })
})

/** Nobody listens there: it can be bound. */
async function closedPortIs(port: number): Promise<boolean> {
  const server = createServer()
  await listenOn(server, at(port))
  await new Promise<void>((resolve) => void server.close(() => resolve()))
  return true
}
