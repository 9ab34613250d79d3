import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { CLASS, TYPE } from '../../../src/dns/codes.ts'
import { FrameReader, frameOf } from '../../../src/dns/frame.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { stringsData } from '../../../src/dns/rdata.ts'
import { askServer } from '../../../src/operator/dns/ask.ts'

const NAME = 'cpe-1.acme.example'
const open: (UdpSocket | Server)[] = []
afterEach(() => {
  for (const one of open.splice(0)) one.close()
})

/** Replies to a query; undefined: says nothing. */
type Answering = (query: Uint8Array) => readonly Uint8Array[]

async function serverThat(byUdp: Answering, byTcp?: Answering): Promise<{ host: string; port: number }> {
  const tcp = createServer((socket) => {
    const reader = new FrameReader()
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      reader.push(chunk)
      const query = reader.next()
      if (query) for (const reply of byTcp!(query)) socket.write(frameOf(reply))
    })
  })
  const udp = createSocket('udp4')
  udp.on('message', (wire, { port }) => {
    for (const reply of byUdp(wire)) udp.send(reply, port, '127.0.0.1')
  })
  open.push(...(byTcp ? [tcp, udp] : [udp]))
  if (byTcp) {
    tcp.listen(0, '127.0.0.1')
    await once(tcp, 'listening')
  }
  const port = byTcp ? (tcp.address() as AddressInfo).port : 0
  try {
    udp.bind(port, '127.0.0.1')
    await once(udp, 'listening')
  } catch {
    // Somebody has this number for UDP.
    return serverThat(byUdp, byTcp)
  }
  return { host: '127.0.0.1', port: udp.address().port }
}

function replyTo(query: Uint8Array, more: Parameters<typeof buildMessage>[0] = {}): Uint8Array {
  const { id, questions } = parseMessage(query)!
  const data = stringsData('value')
  const answers = [{ name: NAME, type: TYPE.TXT, class: CLASS.IN, ttl: 1, data }]
  return buildMessage({ id, questions, isResponse: true, answers, ...more })
}

const never = new AbortController().signal

describe('one question to one server', () => {
  it('asks by UDP, without recursion, and with a size that needs no fragments', async () => {
    let seen: ReturnType<typeof parseMessage>
    const server = await serverThat((query) => {
      seen = parseMessage(query)
      return [replyTo(query)]
    })
    const answer = await askServer(server, NAME, TYPE.TXT, never)
    expect(answer.answers).toHaveLength(1)
    expect(seen).toMatchObject({ recursionDesired: false, edns: { udpSize: 1232 } })
  })

  it('passes over replies with another id or another question', async () => {
    const server = await serverThat((query) => {
      const { id } = parseMessage(query)!
      const questions = [{ name: 'other.example', type: TYPE.TXT, class: CLASS.IN }]
      return [
        replyTo(query, { id: (id + 1) & 0xffff, answers: [] }),
        replyTo(query, { questions, answers: [] }),
        Buffer.from('junk'),
        replyTo(query),
      ]
    })
    expect((await askServer(server, NAME, TYPE.TXT, never)).answers).toHaveLength(1)
  })

  it('asks again by TCP when the answer was cut short', async () => {
    const server = await serverThat(
      (query) => [replyTo(query, { truncated: true, answers: [] })],
      (query) => [replyTo(query)],
    )
    expect((await askServer(server, NAME, TYPE.TXT, never)).answers).toHaveLength(1)
  })

  it('asks again by UDP, then by TCP, when nothing comes', async () => {
    let datagrams = 0
    const silent: Answering = () => {
      datagrams++
      return []
    }
    const server = await serverThat(silent, (query) => [replyTo(query)])
    expect((await askServer(server, NAME, TYPE.TXT, never)).answers).toHaveLength(1)
    expect(datagrams).toBe(2)
  })

  it('says why when nobody is there, or nonsense came', async () => {
    const gone = await serverThat(() => [])
    open.pop()!.close()
    await expect(askServer(gone, NAME, TYPE.TXT, never)).rejects.toThrow('ECONNREFUSED')
    const cut: Answering = (query) => [replyTo(query, { truncated: true, answers: [] })]
    const server = await serverThat(cut, (query) => [replyTo(query, { id: 0, questions: [] })])
    await expect(askServer(server, NAME, TYPE.TXT, never)).rejects.toThrow('not for this question')
  })

  it('ends when it is told to stop', async () => {
    const server = await serverThat(() => [])
    const stop = new AbortController()
    const asking = askServer(server, NAME, TYPE.TXT, stop.signal)
    stop.abort(new Error('the service stops'))
    await expect(asking).rejects.toThrow('the service stops')
  })
})
