import { createSocket } from 'node:dgram'
import { connect, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { buildReply } from '../../../src/dns/answer.ts'
import { buildAnswer } from '../../../src/dns/build.ts'
import { CLASS, EDNS_OPTION, OPCODE, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { FrameReader, frameOf } from '../../../src/dns/frame.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import { stringsData } from '../../../src/dns/rdata.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { askServer } from '../../../src/operator/dns/ask.ts'
import type { Respond } from '../../../src/operator/dns/respond.ts'
import { type DnsServer, openDnsServer } from '../../../src/operator/dns/server.ts'
import { recordingLog } from '../../support/log.ts'
import { queryWire } from '../../support/query.ts'

const NAME = 'cpe-1.acme.example'
const EDNS = { udpSize: 4096, version: 0, dnssecOk: false, options: [] }
const TCP_IDLE_MS = 300

/** As many values of 43 octets as the test wants. */
let values = 1
let respond: Respond
let server: DnsServer
const { log, lines } = recordingLog()

beforeEach(async () => {
  values = 1
  respond = async (query) => buildAnswer(query, { rcode: 0, authoritative: true, answers: answersTo(query) })
  server = await openOnFreePort()
})
afterEach(() => server.close())

/** The port that is free by UDP may be taken by TCP: another one then. */
async function openOnFreePort(): Promise<DnsServer> {
  for (let attempt = 0; ; attempt++) {
    try {
      const listen = [{ host: '127.0.0.1', port: 0 }]
      return await openDnsServer({ listen, respond: (query) => respond(query), log, tcpIdleMs: TCP_IDLE_MS })
    } catch (error) {
      if (attempt === 20) throw error
    }
  }
}

function answersTo({ questionName: name }: MessageView) {
  return Array.from({ length: values }, (_, index) => ({
    name,
    type: TYPE.TXT,
    ttl: 5,
    rdata: stringsData(String(index).padStart(43, 'v')),
  }))
}

function port(): number {
  return server.endpoints[0]!.port
}

/** The replies to the datagrams, until the one to a last good question comes. */
async function byUdp(...datagrams: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const socket = createSocket('udp4')
  const replies: Uint8Array[] = []
  const last = queryWire('last.acme.example', TYPE.TXT, { id: 0xffff })
  return new Promise((resolve) => {
    socket.on('message', (wire) => {
      if (wire.readUInt16BE(0) !== 0xffff) return void replies.push(Uint8Array.from(wire))
      socket.close()
      resolve(replies)
    })
    for (const datagram of datagrams) socket.send(datagram, port(), '127.0.0.1')
    socket.send(last, port(), '127.0.0.1')
  })
}

async function askUdp(more: Parameters<typeof buildMessage>[0] = {}): Promise<Message> {
  const replies = await byUdp(queryWire(NAME, TYPE.TXT, more))
  expect(replies).toHaveLength(1)
  return parseMessage(replies[0]!)!
}

/** A connection that collects the messages it gets. */
function dial(): { socket: Socket; replies: Message[]; closed: Promise<void> } {
  const socket = connect({ host: '127.0.0.1', port: port(), allowHalfOpen: true })
  const reader = new FrameReader()
  const replies: Message[] = []
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    reader.push(chunk)
    for (let wire = reader.next(); wire; wire = reader.next()) replies.push(parseMessage(wire)!)
  })
  socket.on('end', () => socket.end())
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()))
  return { socket, replies, closed }
}

describe('by UDP', () => {
  it('answers a query with an OPT record for an OPT record, and with none for none', async () => {
    expect((await askUdp()).edns).toBeUndefined()
    const { edns, answers } = await askUdp({ edns: { ...EDNS, dnssecOk: true } })
    expect(answers).toHaveLength(1)
    expect(edns).toMatchObject({ udpSize: 1232, version: 0, dnssecOk: true, options: [] })
  })

  it('sends at most 512 octets without EDNS and 1232 with it, and TC without records instead of more', async () => {
    values = 8
    expect(await askUdp()).toMatchObject({ answers: { length: 8 }, truncated: false })
    values = 9
    expect(await askUdp()).toMatchObject({ answers: [], truncated: true, rcode: 0, recursionAvailable: false })
    expect(await askUdp({ edns: { ...EDNS, udpSize: 100 } })).toMatchObject({ answers: [], truncated: true })
    expect(await askUdp({ edns: EDNS })).toMatchObject({ answers: { length: 9 }, truncated: false })
    values = 22
    expect(await askUdp({ edns: EDNS })).toMatchObject({ answers: [], truncated: true, edns: { udpSize: 1232 } })
  })

  it('sends an error for what is wrong: opcode, number of questions, EDNS version, cookie', async () => {
    const question = { name: NAME, type: TYPE.TXT, class: CLASS.IN }
    expect(await askUdp({ opcode: OPCODE.NOTIFY })).toMatchObject({ rcode: RCODE.NOTIMP, recursionAvailable: false })
    expect(await askUdp({ opcode: OPCODE.UPDATE })).toMatchObject({ rcode: RCODE.NOTIMP })
    expect(await askUdp({ questions: [question, question] })).toMatchObject({ rcode: RCODE.FORMERR })
    expect(await askUdp({ questions: [] })).toMatchObject({ rcode: RCODE.FORMERR })
    expect(await askUdp({ edns: { ...EDNS, version: 1 } })).toMatchObject({ rcode: RCODE.BADVERS })
    const options = [{ code: EDNS_OPTION.COOKIE, data: Uint8Array.of(1) }]
    expect(await askUdp({ edns: { ...EDNS, options } })).toMatchObject({ rcode: RCODE.FORMERR })
  })

  it('sends nothing for responses and for what has no header', async () => {
    const response = buildReply(MessageView.over(queryWire(NAME, TYPE.TXT))!, { rcode: 0 })
    expect(await byUdp(response, new Uint8Array(0), new Uint8Array(11))).toEqual([])
  })

  it('says SERVFAIL while the store fails, and logs it once', async () => {
    const works = respond
    respond = async () => {
      throw new Error('the store is down')
    }
    lines.length = 0
    for (let time = 0; time < 3; time++) expect(await askUdp()).toMatchObject({ rcode: RCODE.SERVFAIL })
    expect(lines.filter(({ reason }) => reason === 'the store is down')).toHaveLength(1)
    respond = works
    expect(await askUdp()).toMatchObject({ rcode: RCODE.NOERROR })
  })

  it('never sends more than 1232 octets and never ends, whatever comes (4,000 mutated queries)', async () => {
    values = 24
    const random = seeded(20_261_125)
    const good = [
      queryWire(NAME, TYPE.TXT, { edns: EDNS }),
      queryWire('.', TYPE.ANY),
      queryWire('a'.repeat(63), TYPE.SOA, { edns: { ...EDNS, options: [{ code: 10, data: new Uint8Array(8) }] } }),
    ]
    for (let round = 0; round < 80; round++) {
      const mutated = Array.from({ length: 50 }, () => mutate(good[random(good.length)]!, random))
      for (const reply of await byUdp(...mutated)) {
        expect(reply.length).toBeLessThanOrEqual(1232)
        expect(reply[2]! & 0x80).toBe(0x80)
        expect(reply[3]! & 0x80).toBe(0)
      }
    }
    values = 1
    expect((await askUdp()).answers).toHaveLength(1)
  })
})

describe('by TCP', () => {
  it('answers what is too long for UDP', async () => {
    values = 40
    const answer = await askServer(server.endpoints[0]!, NAME, TYPE.TXT, new AbortController().signal)
    expect(answer.answers).toHaveLength(40)
  })

  it('answers question after question of one connection, in pieces of any size, also after its end', async () => {
    const { socket, replies, closed } = dial()
    const stream = Buffer.concat([1, 2, 3].map((id) => frameOf(queryWire(NAME, TYPE.TXT, { id }))))
    for (let at = 0; at < stream.length; at += 7) socket.write(stream.subarray(at, at + 7))
    socket.end()
    await closed
    expect(replies.map(({ id, answers }) => [id, answers.length])).toEqual([
      [1, 1],
      [2, 1],
      [3, 1],
    ])
  })

  it('ends a connection that asks nothing, or octet by octet', async () => {
    const silent = dial()
    const slow = dial()
    const stream = frameOf(queryWire(NAME, TYPE.TXT))
    let at = 0
    const drip = setInterval(() => slow.socket.write(stream.subarray(at, ++at)), TCP_IDLE_MS / 6)
    await Promise.all([silent.closed, slow.closed])
    clearInterval(drip)
    expect(at).toBeLessThan(stream.length)
    expect(slow.replies).toEqual([])
  })

  it('ends a connection that sends a response, or a message shorter than its header', async () => {
    const response = dial()
    const wire = queryWire(NAME, TYPE.TXT)
    wire[2] = wire[2]! | 0x80
    response.socket.write(frameOf(wire))
    const short = dial()
    short.socket.write(Uint8Array.of(0, 3, 1, 2, 3))
    await Promise.all([response.closed, short.closed])
    expect([...response.replies, ...short.replies]).toEqual([])
  })

  it('has 32 places for one client', async () => {
    const dialled = Array.from({ length: 40 }, dial)
    await Promise.all(dialled.slice(32).map(({ closed }) => closed))
    for (const { socket } of dialled.slice(0, 32)) socket.end(frameOf(queryWire(NAME, TYPE.TXT)))
    await Promise.all(dialled.map(({ closed }) => closed))
    expect(dialled.map(({ replies }) => replies.length)).toEqual(dialled.map((_, index) => (index < 32 ? 1 : 0)))
  })
})

describe('start and stop', () => {
  it('refuses an address that is taken, and keeps none of the others', async () => {
    const free = await openOnFreePort()
    await free.close()
    const listen = [free.endpoints[0]!, server.endpoints[0]!]
    await expect(openDnsServer({ listen, respond, log })).rejects.toMatchObject({ code: 'PORT_IN_USE' })
    const again = await openDnsServer({ listen: [free.endpoints[0]!], respond, log })
    expect(again.endpoints).toEqual(free.endpoints)
    await again.close()
  })

  it('stops with connections open and a question waiting', async () => {
    const { socket, closed } = dial()
    respond = () => new Promise(() => {})
    socket.write(frameOf(queryWire(NAME, TYPE.TXT)))
    await new Promise<void>((resolve) => void socket.once('connect', () => resolve()))
    await server.close()
    await closed
    expect(socket.destroyed).toBe(true)
  })
})

function seeded(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Octets changed, cut off or added. Id 0xffff is taken by the last question. */
function mutate(good: Uint8Array, random: (below: number) => number): Uint8Array {
  const wire = Uint8Array.from(good.subarray(0, random(8) === 0 ? random(good.length) : good.length))
  const longer =
    random(8) === 0 ? new Uint8Array([...wire, ...Array.from({ length: random(300) }, () => random(256))]) : wire
  for (let changes = random(6); changes > 0 && longer.length > 0; changes--) longer[random(longer.length)] = random(256)
  if (longer.length > 0) longer[0] = 0x12
  return longer
}
