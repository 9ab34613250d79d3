import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { type ClientHttp2Session, connect as connectHttp2 } from 'node:http2'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { TTL_S_MAX } from '../../src/dns/answer.ts'
import { TYPE } from '../../src/dns/codes.ts'
import { buildOpt } from '../../src/dns/edns.ts'
import { walkRecords } from '../../src/dns/records.ts'
import { MessageView } from '../../src/dns/view.ts'
import { putUint16, putUint32, uint16, uint32 } from '../../src/dns/wire.ts'
import { type Endpoint, endpointText } from '../../src/net/bind.ts'
import type { TlsMaterial } from '../../src/net/tls.ts'
import { loadRouterConfig } from '../../src/router/config.ts'
import { derivePresence } from '../../src/router/discovery/derive.ts'
import { Listening } from '../../src/router/listening.ts'
import { createResolving } from '../../src/router/resolving.ts'
import { randomNumbers } from '../dns/hostile.ts'
import { silentLog } from '../support/log.ts'
import { type OddAnswer, oddAnswers, questionKey, questionOf, recased, replyOf } from '../support/odd-answers.ts'
import { writeRouterSettings } from '../support/router-settings.ts'
import { closedPort, plainServer, streamServer, tcpClient, tlsClient, udpClient, within } from '../support/sockets.ts'
import { TestAuthority } from '../support/tls.ts'

/**
 * Answers through everything there is: a server, our upstream, all layers of a settings file, a listener, a client. What
 * comes out is what went in, octet by octet, but for:
 * - the id and the letter case of the question, which are the asker's, and RD and CD, which are copied from the query;
 * - AA, RA and Z (we are no authority, and we recurse), and AD, which is believed of a proven upstream alone and told
 *   those who asked (RFC 6840 §5.7, §5.8);
 * - TTLs, capped (RFC 8767 §4) and counted down;
 * - OPT, which is between neighbours (RFC 6891 §6.2.6);
 * - over UDP, what does not fit: the additional section, or everything with TC (RFC 2181 §9).
 * Protections change more, on purpose, and their tests say what: private addresses (rebinding), records of DNSSEC that
 * nobody asked for, answers that fail validation, blocked names. The addresses here are public ones and DO is set where such
 * records are.
 */

const COUNT = 200
const SEED = 3
const HEADER_BYTES = 12
const UDP_BYTES_MAX = 1232
/** What we may take from TTLs: the test is over sooner. */
const AGE_S_MAX = 60
const TRANSPORTS = ['udp', 'tcp', 'dot', 'doh'] as const
type Transport = (typeof TRANSPORTS)[number]
/** Of the upstream: plain, or encrypted and proven, so that its AD may be believed. */
type Kind = 'udp' | 'tls'

let authority: TestAuthority
let material: TlsMaterial
beforeAll(async () => {
  authority = await TestAuthority.create()
  material = await authority.material()
})

const answers = oddAnswers(SEED, COUNT)

/** Says what the table says, in the letter case it is asked; without TLS, by TCP when it is long. */
async function scriptedUpstream(kind: Kind) {
  const byQuestion = new Map(answers.map((answer) => [questionKey(answer.question), answer]))
  const asked = new Map<OddAnswer, number>()
  const replyTo = (wire: Uint8Array): Buffer => {
    const question = questionOf(wire)
    const answer = byQuestion.get(questionKey(question))!
    return replyOf(answer, uint16(wire, 0), question)
  }
  const count = (wire: Uint8Array): void => {
    const answer = byQuestion.get(questionKey(questionOf(wire)))!
    asked.set(answer, (asked.get(answer) ?? 0) + 1)
  }
  if (kind === 'tls') {
    const { endpoint } = await streamServer(
      (wire, reply) => {
        count(wire)
        reply(replyTo(wire))
      },
      { material },
    )
    return { settings: `{ url: "tls://${endpointText(endpoint)}#dns.test", trust: root.pem }`, asked }
  }
  const { udp } = await plainServer(
    (wire, reply) => reply(replyTo(wire)),
    (wire, reply) => {
      count(wire)
      const whole = replyTo(wire)
      if (whole.length <= UDP_BYTES_MAX) return reply(whole)
      const cut = Buffer.concat([whole.subarray(0, HEADER_BYTES), questionOf(wire)])
      cut[2]! |= 0x02
      cut.fill(0, 6, HEADER_BYTES)
      reply(cut)
    },
  )
  return { settings: `{ url: "udp://${endpointText(udp.endpoint)}" }`, asked }
}

async function scene(kind: Kind) {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-transparency-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const upstream = await scriptedUpstream(kind)
  await writeFile(join(directory, 'root.pem'), authority.rootPem)
  const file = await writeRouterSettings(
    directory,
    `access: { allow: [127.0.0.0/8] }
upstreams: [${upstream.settings}]
state: .
`,
  )
  const config = await loadRouterConfig(file)
  const presence = derivePresence({ name: config.identity.name, ...config.advertise }, [], undefined)
  const resolving = await createResolving(config, {
    clock: systemClock,
    log: silentLog,
    presence: () => presence,
    isClockTrusted: () => true,
  })
  onTestFinished(() => resolving.stop())
  const listening = new Listening(
    { clock: systemClock, log: silentLog, admit: resolving.mayAsk },
    resolving.resolver,
    material,
  )
  onTestFinished(() => listening.stop())
  const at = async (): Promise<Endpoint> => ({ host: '127.0.0.1', port: await closedPort() })
  const [do53, dot, doh] = [await at(), await at(), await at()]
  await listening.apply({ ...config.listen, do53: [do53], dot: [dot], doh: [doh] })
  return { asks: await clientsOf(do53, dot, doh), asked: upstream.asked }
}

type Asks = Readonly<Record<Transport, (wire: Uint8Array) => Promise<Uint8Array>>>

async function clientsOf(do53: Endpoint, dot: Endpoint, doh: Endpoint): Promise<Asks> {
  const udp = await udpClient(do53)
  const tcp = await tcpClient(do53)
  const tls = await tlsClient(dot)
  const session = connectHttp2(`https://${endpointText(doh)}`, { rejectUnauthorized: false })
  onTestFinished(() => session.destroy())
  return {
    udp: (wire) => {
      udp.send(wire)
      return udp.next()
    },
    tcp: (wire) => tcp.ask(wire),
    dot: (wire) => tls.ask(wire),
    doh: (wire) => within('an HTTP/2 response', post(session, wire)),
  }
}

function post(session: ClientHttp2Session, wire: Uint8Array): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': '/dns-query',
      'content-type': 'application/dns-message',
    })
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('end', () => resolve(Buffer.concat(chunks)))
    stream.on('error', reject)
    stream.end(wire)
  })
}

interface Asked {
  readonly id: number
  readonly question: Uint8Array
  readonly recursionDesired: boolean
  readonly wire: Uint8Array
}

function queryFor({ dnssecOk }: OddAnswer, question: Uint8Array, next: () => number): Asked {
  const [id, recursionDesired, edns] = [next() & 0xffff, next() % 4 > 0, dnssecOk || next() % 2 === 0]
  const header = Buffer.from([id >> 8, id & 0xff, recursionDesired ? 1 : 0, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0])
  const opt = edns ? buildOpt({ udpSize: 4096, dnssecOk }) : new Uint8Array(0)
  return { id, question, recursionDesired, wire: Buffer.concat([header, question, opt]) }
}

/** What has to arrive, without OPT. */
function expectedOf(kind: Kind, answer: OddAnswer, { id, question, recursionDesired }: Asked): Buffer {
  const wire = replyOf({ ...answer, opt: new Uint8Array(0) }, id, question)
  const authentic = kind === 'tls' && answer.dnssecOk ? answer.flags & 0x20 : 0
  putUint16(wire, 2, 0x8080 | (recursionDesired ? 0x0100 : 0) | authentic | (answer.flags & 0x0f))
  for (const offset of answer.ttlOffsets) putUint32(wire, offset, Math.min(uint32(wire, offset), TTL_S_MAX))
  return wire
}

/** The message as it came, without its OPT. Its TTLs are made those of `expected` where only age can tell them apart. */
function receivedOf(wire: Uint8Array, expected: Uint8Array, { ttlOffsets }: OddAnswer): Buffer {
  const view = MessageView.over(wire)!
  const records = walkRecords(view)
  let end = view.questionEnd
  let opts = 0
  while (records.next()) {
    if (records.section === 'additional' && records.type === TYPE.OPT) opts++
    else end = records.end
  }
  expect([records.malformed, opts <= 1, records.end]).toEqual([false, true, wire.length])
  const copy = Buffer.from(wire.subarray(0, end))
  putUint16(copy, 10, uint16(copy, 10) - opts)
  for (const offset of ttlOffsets) {
    if (offset + 4 > copy.length) continue
    const full = uint32(expected, offset)
    const lostS = full - uint32(copy, offset)
    if (lostS >= 0 && lostS <= Math.min(full, AGE_S_MAX)) putUint32(copy, offset, full)
  }
  return copy
}

/** All of it; over UDP as much as the section limits allow. */
function expectTransparent(kind: Kind, transport: Transport, answer: OddAnswer, asked: Asked, wire: Uint8Array): void {
  const expected = expectedOf(kind, answer, asked)
  const received = receivedOf(wire, expected, answer)
  if (received.equals(expected)) return
  const { additionalStart } = answer
  const withoutAdditionals = Buffer.from(expected.subarray(0, additionalStart))
  putUint16(withoutAdditionals, 10, 0)
  const truncated = Buffer.from(expected.subarray(0, HEADER_BYTES + asked.question.length))
  truncated[2]! |= 0x02
  truncated.fill(0, 6, HEADER_BYTES)
  const hasOpt = uint16(asked.wire, 10) > 0
  const room = hasOpt ? UDP_BYTES_MAX - OPT_BYTES : 512
  const short = additionalStart <= room && answer.counts[2] > 0 ? withoutAdditionals : truncated
  const isTooLong = transport === 'udp' && expected.length > room
  expect(received.toString('hex')).toBe((isTooLong ? short : expected).toString('hex'))
  expect(wire.length).toBeLessThanOrEqual(hasOpt ? UDP_BYTES_MAX : 512)
}
/** Our OPT record without options. Extended errors are left out before records are. */
const OPT_BYTES = 11

describe(`${COUNT} answers of every kind`, () => {
  it('are of every kind', () => {
    const types = new Set<number>()
    let [bytesMax, recordsMax, cached] = [0, 0, 0]
    for (const answer of answers) {
      const wire = replyOf(answer, 1, answer.question)
      const records = walkRecords(MessageView.over(wire)!)
      while (records.next()) types.add(records.type)
      expect([records.malformed, records.end]).toEqual([false, wire.length])
      bytesMax = Math.max(bytesMax, wire.length)
      recordsMax = Math.max(recordsMax, answer.counts[0])
      if (answer.mayBeCached) cached++
    }
    const known = Object.values(TYPE).filter((type) => types.has(type))
    // All but those that are about messages and not about names; the OPT record of the server is one.
    expect(known.length).toBe(Object.keys(TYPE).length - 6)
    expect([...types].filter((type) => type >= 65_280).length).toBeGreaterThan(100)
    expect([bytesMax > 50_000, recordsMax]).toEqual([true, 255])
    expect(cached).toBeGreaterThan(COUNT / 2)
  })

  it.each(['udp', 'tls'] as const)(
    'FWD-1: pass byte for byte from %s over every transport, at first and from the cache',
    async (kind) => {
      const { asks, asked } = await scene(kind)
      const next = randomNumbers(SEED)
      for (const [index, answer] of answers.entries()) {
        const first = TRANSPORTS[index % TRANSPORTS.length]!
        const start = queryFor(answer, answer.question, next)
        expectTransparent(kind, first, answer, start, await asks[first](start.wire))
        expect(asked.get(answer), `answer ${index}`).toBe(1)
        for (const transport of TRANSPORTS) {
          const again = queryFor(answer, recased(answer.question, next), next)
          expectTransparent(kind, transport, answer, again, await asks[transport](again.wire))
        }
        expect(asked.get(answer), `answer ${index}`).toBe(answer.mayBeCached ? 1 : 1 + TRANSPORTS.length)
      }
    },
    60_000,
  )
})
