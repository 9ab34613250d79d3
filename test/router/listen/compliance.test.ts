import { beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { CLASS, EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Edns, type Message, parseMessage } from '../../../src/dns/message.ts'
import { serverCookies } from '../../../src/router/listen/cookies.ts'
import { dotListener, tcpListener } from '../../../src/router/listen/tcp.ts'
import { udpListener } from '../../../src/router/listen/udp.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import { chainOf } from '../../../src/router/resolve/chain.ts'
import { withFixedAnswers } from '../../../src/router/resolve/fixed.ts'
import type { Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { silentLog } from '../../support/log.ts'
import { queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { askUdp, LOOPBACK, tcpClient, tlsClient } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

// The tests of RFC 8906 section 8, asked of every listener on plain sockets, twice: the second answer comes from the cache.

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

const MANY = Array.from({ length: 60 }, (_, index) => `192.0.2.${index}`)

/** Says what an upstream would: addresses for A, nothing else; AD is set, and believed. */
function upstream({ view }: Query) {
  const addresses = view.questionType === TYPE.A ? (view.questionName === 'many.example' ? MANY : ['192.0.2.1']) : []
  const wire = responseWire(view.wire, addresses)
  wire[3]! |= 0x20
  return answerOf(wire, 'up', 'authenticated')
}

const chain = (): Resolver =>
  chainOf(
    [withFixedAnswers(), withCache({ bytesMax: 1 << 20, clock: systemClock }).layer],
    resolverOf(async (query) => upstream(query)),
  )

const TRANSPORTS = {
  udp: async () => {
    const listener = udpListener(LOOPBACK, { clock: systemClock, log: silentLog, cookies: serverCookies(systemClock) })
    return { listener, ask: (wire: Uint8Array) => askUdp(listener.endpoint, wire) }
  },
  tcp: async () => {
    const listener = tcpListener(LOOPBACK, { clock: systemClock, log: silentLog, cookies: serverCookies(systemClock) })
    return { listener, ask: async (wire: Uint8Array) => (await tcpClient(listener.endpoint)).ask(wire) }
  },
  dot: async () => {
    const listener = dotListener(LOOPBACK, await authority.material(), {
      clock: systemClock,
      log: silentLog,
      cookies: serverCookies(systemClock),
    })
    return { listener, ask: async (wire: Uint8Array) => (await tlsClient(listener.endpoint)).ask(wire) }
  },
}

const edns = (fields: Partial<Edns> = {}): Partial<Message> => ({
  edns: { udpSize: 1232, version: 0, dnssecOk: false, options: [], ...fields },
})
const UNKNOWN_OPTION = { code: 100, data: Uint8Array.of(1, 2) }
const OUR_EDNS = { udpSize: 1232, version: 0, dnssecOk: false, options: [] }
const COOKIE = { code: EDNS_OPTION.COOKIE, data: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8) }

/** Flag octets of the header, set on top of what the message has. */
const withFlags = (wire: Uint8Array, second: number): Uint8Array => wire.with(3, wire[3]! | second)
const withEdnsFlags = (wire: Uint8Array, flags: number): Uint8Array =>
  wire.with(wire.length - 4, flags >> 8).with(wire.length - 3, flags & 0xff)

const query = (extra: Partial<Message> = {}, name = 'A.Example', type: number = TYPE.A): Uint8Array =>
  queryWire(name, type, extra)
const GOOD = { rcode: RCODE.NOERROR, truncated: false, recursionDesired: true, recursionAvailable: true }
const ONE_ADDRESS = { ...GOOD, answers: [{ name: 'A.Example', data: { address: '192.0.2.1' } }] }

interface Case {
  readonly query: Uint8Array
  readonly expected: object
  /** Whether there is an OPT record in the answer. */
  readonly opt: boolean
}

const CASES: Readonly<Record<string, Case>> = {
  plain: { query: query(), expected: ONE_ADDRESS, opt: false },
  'plain, RD clear': { query: query({ recursionDesired: false }), expected: { recursionDesired: false }, opt: false },
  'an unknown type (TYPE1000)': {
    query: query({}, 'A.Example', 1_000),
    expected: { ...GOOD, answers: [] },
    opt: false,
  },
  'FWD-1: type 65400': { query: query({}, 'A.Example', 65_400), expected: { ...GOOD, answers: [] }, opt: false },
  'header flag Z': { query: withFlags(query(), 0x40), expected: ONE_ADDRESS, opt: false },
  'header flag AD': {
    query: withFlags(query(), 0x20),
    expected: { ...ONE_ADDRESS, authenticData: true, checkingDisabled: false },
    opt: false,
  },
  'header flag CD': {
    query: withFlags(query(), 0x10),
    expected: { ...ONE_ADDRESS, authenticData: false, checkingDisabled: true },
    opt: false,
  },
  'header flags AA, TC, RA and AD, Z, CD': {
    query: withFlags(query(), 0xf0).with(2, 0x07),
    expected: { ...ONE_ADDRESS, authoritative: false },
    opt: false,
  },
  EDNS: { query: query(edns()), expected: { ...ONE_ADDRESS, authenticData: false, edns: OUR_EDNS }, opt: true },
  'FWD-4: EDNS version 1': {
    query: query(edns({ version: 1 })),
    expected: { rcode: RCODE.BADVERS, answers: [], edns: OUR_EDNS },
    opt: true,
  },
  'FWD-4: EDNS version 1 with an unknown option': {
    query: query(edns({ version: 1, options: [UNKNOWN_OPTION] })),
    expected: { rcode: RCODE.BADVERS, answers: [], edns: OUR_EDNS },
    opt: true,
  },
  'an unknown option': {
    query: query(edns({ options: [UNKNOWN_OPTION] })),
    expected: { ...ONE_ADDRESS, edns: OUR_EDNS },
    opt: true,
  },
  'an unknown EDNS flag': {
    query: withEdnsFlags(query(edns()), 0x0040),
    expected: { ...ONE_ADDRESS, edns: OUR_EDNS },
    opt: true,
  },
  DO: {
    query: query(edns({ dnssecOk: true })),
    expected: { ...ONE_ADDRESS, authenticData: true, edns: { ...OUR_EDNS, dnssecOk: true } },
    opt: true,
  },
  'FWD-4: a size of 100': {
    query: query(edns({ udpSize: 100 })),
    expected: { ...ONE_ADDRESS, edns: OUR_EDNS },
    opt: true,
  },
  'a cookie': { query: query(edns({ options: [COOKIE] })), expected: ONE_ADDRESS, opt: true },
  'FWD-8: opcode 15': { query: query({ opcode: 15 }), expected: { opcode: 15, rcode: RCODE.NOTIMP }, opt: false },
  'FWD-8: UPDATE': { query: query({ opcode: 5 }), expected: { opcode: 5, rcode: RCODE.NOTIMP }, opt: false },
  'FWD-8: NOTIFY, with EDNS': {
    query: query({ opcode: 4, ...edns() }),
    expected: { opcode: 4, rcode: RCODE.NOTIMP, edns: OUR_EDNS },
    opt: true,
  },
  'FWD-8: two questions': {
    query: buildMessage({
      id: 0x1234,
      questions: ['a.example', 'b.example'].map((name) => ({ name, type: TYPE.A, class: CLASS.IN })),
    }),
    expected: { rcode: RCODE.FORMERR, questions: [] },
    opt: false,
  },
  'no question': { query: buildMessage({ id: 0x1234 }), expected: { rcode: RCODE.FORMERR, questions: [] }, opt: false },
  'FWD-1: version.bind in class CH': {
    query: buildMessage({
      id: 0x1234,
      questions: [{ name: 'version.bind', type: TYPE.TXT, class: CLASS.CH }],
      ...edns(),
    }),
    expected: {
      rcode: RCODE.REFUSED,
      edns: { options: [{ code: EDNS_OPTION.EXTENDED_ERROR, data: Uint8Array.of(0, 21) }] },
    },
    opt: true,
  },
}

describe.each(['udp', 'tcp', 'dot'] as const)('RFC 8906 on %s', (transport) => {
  const started = async (): Promise<(wire: Uint8Array) => Promise<Uint8Array>> => {
    const { listener, ask } = await TRANSPORTS[transport]()
    await listener.start(chain())
    onTestFinished(() => listener.stop(0))
    return ask
  }

  it.each(Object.keys(CASES))('%s', async (name) => {
    const { query: wire, expected, opt } = CASES[name]!
    const ask = await started()
    for (const round of ['first', 'again']) {
      const reply = await ask(wire)
      const message = parseMessage(reply)!
      expect(message, round).toMatchObject({ id: 0x1234, isResponse: true, ...expected })
      expect(message.edns !== undefined).toBe(opt)
      // FWD-5: the question comes back byte for byte.
      if (message.questions.length > 0) {
        const questionBytes = message.questions[0]!.name.length + 2 + 4
        expect(Buffer.compare(reply.subarray(12, 12 + questionBytes), wire.subarray(12, 12 + questionBytes))).toBe(0)
      }
      // Z is never set.
      expect(reply[3]! & 0x40).toBe(0)
    }
  })

  it('FWD-3: an answer of 1,000 octets without EDNS is truncated by UDP only', async () => {
    const ask = await started()
    for (let round = 0; round < 2; round++) {
      const reply = parseMessage(await ask(query({}, 'many.example')))!
      expect([reply.truncated, reply.answers.length]).toEqual(transport === 'udp' ? [true, 0] : [false, 60])
      const large = parseMessage(await ask(query(edns({ udpSize: 4_096 }), 'many.example')))!
      expect([large.truncated, large.answers.length]).toEqual([false, 60])
    }
  })

  it('FWD-5: from the cache, too, the letter case is the asker’s', async () => {
    const ask = await started()
    for (const name of ['www.example', 'WWW.EXAMPLE', 'wWw.eXaMpLe'])
      expect(parseMessage(await ask(query({}, name)))).toMatchObject({ questions: [{ name }], answers: [{ name }] })
  })

  it('ANY: minimal by UDP, forwarded otherwise', async () => {
    const ask = await started()
    const { answers } = parseMessage(await ask(query({}, 'a.example', TYPE.ANY)))!
    expect(answers.map(({ type }) => type)).toEqual(transport === 'udp' ? [TYPE.HINFO] : [])
  })

  it('a cookie is answered where the address is not proved', async () => {
    const ask = await started()
    const { edns: opt } = parseMessage(await ask(query(edns({ options: [COOKIE] }))))!
    expect(opt!.options.map(({ code, data }) => [code, data.length])).toEqual(
      transport === 'dot' ? [] : [[EDNS_OPTION.COOKIE, 24]],
    )
  })
})
