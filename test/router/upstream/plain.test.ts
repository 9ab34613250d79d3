import { describe, expect, it } from 'vitest'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import type { Endpoint } from '../../../src/net/bind.ts'
import { writeReply } from '../../../src/router/listen/reply.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import { chainOf } from '../../../src/router/resolve/chain.ts'
import { withDedup } from '../../../src/router/resolve/dedup.ts'
import type { Answer, Resolver, Upstream } from '../../../src/router/resolve/resolver.ts'
import { fixedEndpoints } from '../../../src/router/upstream/endpoints.ts'
import { plainUpstream } from '../../../src/router/upstream/plain.ts'
import { streamUpstream } from '../../../src/router/upstream/stream.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire, responseWire } from '../../support/query.ts'
import { closedPort, plainServer, streamServer, udpServer, within } from '../../support/sockets.ts'

const NEVER = new AbortController().signal

const upstreamAt = (endpoint: Endpoint): Resolver => plainUpstream({ id: 'up', endpoint })

async function ask(upstream: Resolver, wire: Uint8Array, withinMs = 5_000): Promise<Answer> {
  const outcome = await upstream.resolve(queryOf(wire, 'udp', performance.now() + withinMs), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return outcome
}

const idOf = (wire: Uint8Array): number => MessageView.over(wire)!.id

describe('a question', () => {
  it('is asked with our OPT and answered', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.7'])))
    const { wire, from } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(from).toBe('up')
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.7' })
    expect(parseMessage(server.received[0]!)).toMatchObject({
      questions: [{ name: 'a.example' }],
      edns: { udpSize: 1232 },
    })
  })

  it('FWD-6: no option of the client reaches the upstream, and nothing is padded', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, [])))
    const options = [8, 10, 12].map((code) => ({ code, data: new Uint8Array(8) }))
    await ask(
      upstreamAt(server.endpoint),
      queryWire('a.example', TYPE.A, { edns: { udpSize: 4096, version: 0, dnssecOk: false, options } }),
    )
    expect(parseMessage(server.received[0]!)?.edns?.options).toEqual([])
  })

  it('has an id and a port nobody can guess', async () => {
    const ports = new Set<number>()
    const server = await udpServer((wire, reply) => reply(responseWire(wire, [])))
    const upstream = upstreamAt(server.endpoint)
    for (let index = 0; index < 64; index++) await ask(upstream, queryWire('a.example'))
    for (const wire of server.received) ports.add(idOf(wire))
    expect(ports.size).toBeGreaterThan(60)
  })

  it('many at once are told apart', async () => {
    const waiting: (() => void)[] = []
    const server = await udpServer((wire, reply) => {
      const host = Number(MessageView.over(wire)!.questionName.split('.')[0])
      waiting.push(() => reply(responseWire(wire, [`192.0.2.${host}`])))
      if (waiting.length === 200) for (const answer of waiting.toReversed()) answer()
    })
    const upstream = upstreamAt(server.endpoint)
    const hosts = Array.from({ length: 200 }, (_, host) => host)
    const answers = await Promise.all(hosts.map((host) => ask(upstream, queryWire(`${host}.example`))))
    expect(answers.map(({ wire }) => parseMessage(wire)?.answers[0]?.data)).toEqual(
      hosts.map((host) => ({ address: `192.0.2.${host}` })),
    )
  })

  it('goes on after a socket has served its questions', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, [])))
    const upstream = upstreamAt(server.endpoint)
    for (let round = 0; round < 40; round++)
      await Promise.all(Array.from({ length: 250 }, (_, index) => ask(upstream, queryWire(`${index}.example`))))
    expect(server.received.length).toBeGreaterThanOrEqual(10_000)
  })
})

describe('SEC-3: forged replies', () => {
  it('are ignored, and the real one is used', async () => {
    const server = await udpServer((wire, reply) => {
      const id = idOf(wire)
      reply(new Uint8Array(5))
      reply(wire)
      reply(responseWire(queryWire('a.example', TYPE.A, { id: id ^ 1 }), ['203.0.113.1']))
      reply(responseWire(queryWire('b.example', TYPE.A, { id }), ['203.0.113.2']))
      reply(responseWire(queryWire('a.example', TYPE.AAAA, { id }), []))
      reply(responseWire(wire, ['192.0.2.1']))
      reply(responseWire(wire, ['203.0.113.3']))
    })
    const { wire } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
  })

  it('from another port are never seen', async () => {
    const other = await udpServer(() => {})
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1'])))
    const { wire } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
    expect(other.received).toEqual([])
  })
})

describe('FWD-2: a reply with TC', () => {
  it('leads to TCP at the same server', async () => {
    const many = Array.from({ length: 200 }, (_, index) => `192.0.2.${index}`)
    const { tcp, udp } = await plainServer(
      (wire, reply) => reply(responseWire(wire, many)),
      (wire, reply) => {
        const cut = responseWire(wire, [])
        cut[2] = cut[2]! | 0x02
        reply(cut)
      },
    )
    const { wire } = await ask(upstreamAt(tcp.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)).toMatchObject({ truncated: false })
    expect(parseMessage(wire)?.answers.length).toBe(200)
    expect([udp.received.length, tcp.received.length]).toEqual([1, 1])
  })

  it('is Fault UPSTREAM_UNREACHABLE when there is no TCP', async () => {
    const udp = await udpServer((wire, reply) => {
      const cut = responseWire(wire, [])
      cut[2] = cut[2]! | 0x02
      reply(cut)
    })
    await expect(ask(upstreamAt(udp.endpoint), queryWire('a.example'))).rejects.toMatchObject({
      code: 'UPSTREAM_UNREACHABLE',
    })
  })
})

describe('silence', () => {
  it('is asked again at 600 and 1300 ms with the same id, and is Fault UPSTREAM_TIMEOUT at the deadline', async () => {
    const at: number[] = []
    const startMs = performance.now()
    const server = await udpServer(() => at.push(performance.now() - startMs))
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'), 1_500)).rejects.toMatchObject({
      code: 'UPSTREAM_TIMEOUT',
      message: 'up did not answer in time',
    })
    expect(performance.now() - startMs).toBeGreaterThanOrEqual(1_495)
    expect(at.length).toBe(3)
    expect(at[1]).toBeGreaterThanOrEqual(595)
    expect(at[2]).toBeGreaterThanOrEqual(1_295)
    expect(new Set(server.received.map(idOf)).size).toBe(1)
  })

  it('before the first resend is the deadline too', async () => {
    const server = await udpServer(() => {})
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'), 50)).rejects.toMatchObject({
      code: 'UPSTREAM_TIMEOUT',
    })
    expect(server.received.length).toBe(1)
  })

  it('then an answer to the second send', async () => {
    const server = await udpServer(
      (wire, reply) => server.received.length > 1 && reply(responseWire(wire, ['192.0.2.1'])),
    )
    expect((await ask(upstreamAt(server.endpoint), queryWire('a.example'))).kind).toBe('answer')
    expect(server.received.length).toBe(2)
  })
})

describe('no way to the upstream', () => {
  it('a closed port is Fault UPSTREAM_UNREACHABLE, at once and again', async () => {
    const upstream = upstreamAt({ host: '127.0.0.1', port: await closedPort() })
    for (let index = 0; index < 3; index++)
      await expect(within('the refusal', ask(upstream, queryWire('a.example')), 500)).rejects.toMatchObject({
        code: 'UPSTREAM_UNREACHABLE',
      })
  })

  it('a closed port is that at once for all of many questions, also where several share a socket', async () => {
    const upstream = upstreamAt({ host: '127.0.0.1', port: await closedPort() })
    const questions = Array.from({ length: 100 }, (_, index) => ask(upstream, queryWire(`n${index}.example`)))
    const results = await within('the refusals', Promise.allSettled(questions), 500)
    const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'answered'))
    expect(new Set(codes)).toEqual(new Set(['UPSTREAM_UNREACHABLE']))
  })

  it('an address the system refuses is Fault UPSTREAM_UNREACHABLE, at once and again', async () => {
    const upstream = upstreamAt({ host: '255.255.255.255', port: 53 })
    for (let index = 0; index < 3; index++)
      await expect(within('the refusal', ask(upstream, queryWire('a.example'), 1_000), 500)).rejects.toMatchObject({
        code: 'UPSTREAM_UNREACHABLE',
      })
  })

  it('a reply that is not a whole message is Fault UPSTREAM_BROKEN', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1']).subarray(0, -2)))
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'))).rejects.toMatchObject({
      code: 'UPSTREAM_BROKEN',
    })
  })
})

describe('SEC-3: somebody guesses', () => {
  const guesses = (wire: Uint8Array, count: number): Uint8Array[] =>
    Array.from({ length: count }, (_, guess) =>
      responseWire(queryWire('a.example', TYPE.A, { id: idOf(wire) ^ (guess + 1) }), ['203.0.113.1']),
    )

  it('a question that saw many strangers is asked over TCP', async () => {
    const { tcp, udp } = await plainServer(
      (wire, reply) => reply(responseWire(wire, ['192.0.2.1'])),
      (wire, reply) => {
        for (const guess of guesses(wire, 16)) reply(guess)
        reply(responseWire(wire, ['203.0.113.2']))
      },
    )
    const { wire } = await ask(upstreamAt(tcp.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
    expect([udp.received.length, tcp.received.length]).toEqual([1, 1])
  })

  it('fifteen are still waited out', async () => {
    const server = await udpServer((wire, reply) => {
      for (const guess of guesses(wire, 15)) reply(guess)
      reply(responseWire(wire, ['192.0.2.1']))
    })
    const { wire } = await ask(upstreamAt(server.endpoint), queryWire('a.example'))
    expect(parseMessage(wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
  })
})

describe('case randomisation', () => {
  const LONG = 'abcdefghijklmnopqrstuvwxyz.host-1.example'
  const mixing = (endpoint: Endpoint): Upstream => plainUpstream({ id: 'up', endpoint, caseRandomisation: true })
  const nameIn = (wire: Uint8Array): string => MessageView.over(wire)!.questionName
  /** Repeats the question in small letters, as some servers do. */
  const lowered = (wire: Uint8Array): Uint8Array =>
    responseWire(queryWire(nameIn(wire).toLowerCase(), TYPE.A, { id: idOf(wire) }), ['203.0.113.1'])

  it('asks in random case and gives the answer in that of the asker', async () => {
    const server = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1'])))
    const upstream = mixing(server.endpoint)
    for (let round = 0; round < 3; round++) expect(nameIn((await ask(upstream, queryWire(LONG))).wire)).toBe(LONG)
    const sent = server.received.map(nameIn)
    expect(new Set([LONG, ...sent]).size).toBe(4)
    expect(new Set(sent.map((name) => name.toLowerCase()))).toEqual(new Set([LONG]))
  })

  it('an answer in another case is not believed: TCP decides, and the server is remembered', async () => {
    const { tcp, udp } = await plainServer(
      (wire, reply) => reply(responseWire(wire, ['192.0.2.1'])),
      (wire, reply) => reply(lowered(wire)),
    )
    const upstream = mixing(tcp.endpoint)
    const first = await ask(upstream, queryWire(LONG))
    expect(parseMessage(first.wire)?.answers[0]?.data).toEqual({ address: '192.0.2.1' })
    await ask(upstream, queryWire(LONG))
    expect([udp.received.length, tcp.received.length]).toEqual([2, 1])
    expect(nameIn(udp.received[1]!)).toBe(LONG)
  })

  it('is off unless asked for', async () => {
    const server = await udpServer((wire, reply) => reply(lowered(wire)))
    await ask(upstreamAt(server.endpoint), queryWire(LONG))
    expect(nameIn(server.received[0]!)).toBe(LONG)
  })
})

describe('a server that knows no OPT record (RFC 6891 section 6.2.2)', () => {
  const hasOpt = (wire: Uint8Array): boolean => parseMessage(wire)!.edns !== undefined
  const refusing =
    (rcode: number, withQuestion = true) =>
    (wire: Uint8Array, reply: (wire: Uint8Array) => void): void => {
      if (!hasOpt(wire)) return reply(responseWire(wire, ['192.0.2.1']))
      const { id, questions } = parseMessage(wire)!
      reply(buildMessage({ id, isResponse: true, rcode, ...(withQuestion ? { questions } : {}) }))
    }
  const askTwice = async (upstream: Upstream): Promise<unknown[]> => {
    const seen: unknown[] = []
    for (let round = 0; round < 2; round++) {
      const message = parseMessage((await ask(upstream, queryWire('a.example'))).wire)
      seen.push([message?.rcode, message?.answers.length])
    }
    return seen
  }
  const ANSWERED = [
    [RCODE.NOERROR, 1],
    [RCODE.NOERROR, 1],
  ]

  it.each([
    ['FORMERR with the question', refusing(RCODE.FORMERR)],
    ['FORMERR alone', refusing(RCODE.FORMERR, false)],
    ['NOTIMP', refusing(RCODE.NOTIMP)],
  ])('%s: asked again without, and remembered', async (_, answer) => {
    const server = await udpServer(answer)
    expect(await askTwice(upstreamAt(server.endpoint))).toEqual(ANSWERED)
    expect(server.received.map(hasOpt)).toEqual([true, false, false])
  })

  it('over TCP too', async () => {
    const server = await streamServer(refusing(RCODE.FORMERR))
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    expect(await askTwice(upstream)).toEqual(ANSWERED)
    expect(server.received.map(hasOpt)).toEqual([true, false, false])
  })

  it('a FORMERR that stays is the answer, and nothing is remembered', async () => {
    const server = await udpServer((wire, reply) => {
      const { id, questions } = parseMessage(wire)!
      reply(buildMessage({ id, isResponse: true, rcode: RCODE.FORMERR, questions }))
    })
    expect(await askTwice(upstreamAt(server.endpoint))).toEqual([
      [RCODE.FORMERR, 0],
      [RCODE.FORMERR, 0],
    ])
    expect(server.received.map(hasOpt)).toEqual([true, false, true, false])
  })

  it('CACHE-1: refusing both is UPSTREAM_BROKEN after two sends', async () => {
    const server = await udpServer((wire, reply) =>
      reply(buildMessage({ id: idOf(wire), isResponse: true, rcode: RCODE.FORMERR })),
    )
    await expect(ask(upstreamAt(server.endpoint), queryWire('a.example'))).rejects.toMatchObject({
      code: 'UPSTREAM_BROKEN',
    })
    expect(server.received.length).toBe(2)
  })
})

describe('a signed question (RFC 5625 section 4.5)', () => {
  const tsig = { name: 'key.example', type: TYPE.TSIG, class: 255, ttl: 0, data: Buffer.from('0102030405', 'hex') }
  const signed = (id: number): Uint8Array => queryWire('a.example', TYPE.A, { id, additionals: [tsig] })
  const signedReply = (wire: Uint8Array): Uint8Array => {
    const { id, questions } = parseMessage(wire)!
    return buildMessage({ id, isResponse: true, authoritative: true, questions, additionals: [tsig] })
  }

  it('is asked anew each time, and answered byte for byte as the upstream did, but for the id', async () => {
    const server = await udpServer((wire, reply) => reply(signedReply(wire)))
    const layers = [withCache({ bytesMax: 1 << 20, clock: new ManualClock() }).layer, withDedup()]
    const chain = chainOf(layers, upstreamAt(server.endpoint))
    const written = async (id: number): Promise<Buffer> => {
      const query = queryOf(signed(id))
      const outcome = await chain.resolve(query, NEVER)
      if (outcome.kind !== 'answer') throw new Error('dropped')
      const target = Buffer.alloc(65_535)
      return target.subarray(0, writeReply(target, 0, query, outcome))
    }
    const ids = [7, 8]
    expect(await Promise.all(ids.map(written))).toEqual(ids.map((id) => Buffer.from(signedReply(signed(id)))))
    expect(server.received.map((wire) => wire.subarray(2))).toEqual(
      ids.map((id) => Buffer.from(signed(id).subarray(2))),
    )
  })

  it('cut short: the asker by UDP gets TC, the asker by TCP the whole answer', async () => {
    const { tcp } = await plainServer(
      (wire, reply) => reply(signedReply(wire)),
      (wire, reply) => {
        const cut = signedReply(wire)
        cut[2] = cut[2]! | 0x02
        reply(cut)
      },
    )
    const upstream = upstreamAt(tcp.endpoint)
    const isCut = async (transport: 'udp' | 'tcp'): Promise<boolean> => {
      const outcome = await upstream.resolve(queryOf(signed(7), transport), NEVER)
      return outcome.kind === 'answer' && MessageView.over(outcome.wire)!.truncated
    }
    expect([await isCut('udp'), await isCut('tcp')]).toEqual([true, false])
  })
})
