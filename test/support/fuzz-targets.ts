import { createHash } from 'node:crypto'
import { concatBytes, equalBytes } from '../../src/core/bytes.ts'
import { Fault } from '../../src/core/fault.ts'
import { prepareAnswer, writeAnswer } from '../../src/dns/answer.ts'
import { TYPE } from '../../src/dns/codes.ts'
import { judgeCookie } from '../../src/dns/cookie.ts'
import { deniesItsName, writeDenialBelow } from '../../src/dns/denial.ts'
import {
  parseDnrDhcpv4,
  parseDnrDhcpv4Option,
  parseDnrDhcpv6,
  parseDnrDhcpv6Option,
  parseDnrRa,
} from '../../src/dns/dnr-receive.ts'
import { parseAnchor } from '../../src/dns/dnssec/anchor.ts'
import { Budget } from '../../src/dns/dnssec/budget.ts'
import { Denial } from '../../src/dns/dnssec/denial.ts'
import { parseDnskey } from '../../src/dns/dnssec/dnskey.ts'
import { parseDs } from '../../src/dns/dnssec/ds.ts'
import { nameAt } from '../../src/dns/dnssec/name.ts'
import { parseNsec } from '../../src/dns/dnssec/nsec.ts'
import { parseNsec3 } from '../../src/dns/dnssec/nsec3.ts'
import { rewriteAnswer } from '../../src/dns/dnssec/rewrite.ts'
import { readRrsets } from '../../src/dns/dnssec/rrset.ts'
import { parseRrsig } from '../../src/dns/dnssec/rrsig.ts'
import { hasType } from '../../src/dns/dnssec/type-bitmap.ts'
import { verifyRrset } from '../../src/dns/dnssec/verify.ts'
import { withoutDnssecRecords } from '../../src/dns/dnssec-records.ts'
import { ednsOptions, readEdns, readExtendedErrors } from '../../src/dns/edns.ts'
import { FrameReader as MessageReader } from '../../src/dns/frame.ts'
import { buildMessage, parseMessage, recordText } from '../../src/dns/message.ts'
import { nameToWire, readName, skipName } from '../../src/dns/name.ts'
import { asksForCookie, examineQuery } from '../../src/dns/query.ts'
import { messageEnd } from '../../src/dns/records.ts'
import { encodeSvcb, parseSvcb, svcbText } from '../../src/dns/svcb.ts'
import { tsigError } from '../../src/dns/tsig.ts'
import { MessageView } from '../../src/dns/view.ts'
import { parseZoneText } from '../../src/dns/zone-text.ts'
import { Connection } from '../../src/net/h2/connection.ts'
import { ConnectionError } from '../../src/net/h2/error.ts'
import { FrameReader } from '../../src/net/h2/frame-reader.ts'
import { HpackDecoder } from '../../src/net/h2/hpack-decoder.ts'
import { decodeHuffman } from '../../src/net/h2/huffman.ts'
import { gatherBuffer } from '../../src/net/h2/output.ts'
import { defaultRoutes4, defaultRoutes6 } from '../../src/net/link.ts'
import { judgeBody, judgeRequest } from '../../src/router/listen/doh-request.ts'
import { readLine } from '../../src/router/resolve/block/read-line.ts'
import { buildSnapshot, parseSnapshot } from '../../src/router/resolve/cache/snapshot.ts'
import { readHostsFile } from '../../src/router/resolve/local/host-lines.ts'
import { readLeases } from '../../src/router/resolve/local/leases.ts'
import { findPrivateAddress, withoutAdditionals } from '../../src/router/resolve/rebinding/find-private.ts'
import { designationsIn } from '../../src/router/upstream/designations.ts'
import { parseUpstreamUrl } from '../../src/router/upstream/url.ts'
import { golden, hex } from '../dns/golden.ts'
import { testHandler } from './http2-peer.ts'
import { block, data, framesOf, GET, get, HELLO, headers, ping, postHead, settings, TestSocket } from './http2-wire.ts'
import { oddAnswers, replyOf } from './odd-answers.ts'
import { queryWire, responseWire } from './query.ts'
import { TEST_NOW_S, TestZone, World } from './signed-zone.ts'

/** Everything that reads what others wrote: what is damaged here, and what must hold whatever comes. */
export interface FuzzTarget {
  /** In order; cases are damaged copies of them, and random octets. */
  readonly samples: readonly Uint8Array[]
  /** Throws when something does not hold. What the parser may throw itself is caught in here, and nothing else. */
  run(octets: Uint8Array): void
}

const LARGEST = new Uint8Array(65_535)
const asked = MessageView.over(golden('ddr-query'))!

/** An answer with every type that has a codec of its own. */
const everyType = hex(`1234 8180 0001 0009 0000 0001  0161 00 00ff 0001
  c00c 0001 0001 0000012c 0004 c0000201
  c00c 001c 0001 0000012c 0010 20010db8000000000000000000000001
  c00c 0005 0001 0000012c 0004 0162 c00c
  c00c 000f 0001 0000012c 0004 000a c00c
  c00c 0006 0001 0000012c 0018 c00c c00c 00000001 00000002 00000003 00000004 00000005
  c00c 0010 0001 0000012c 0004 03616263
  c00c 0021 0001 0000012c 0009 0000 0000 0035 016100
  c00c 0101 0001 0000012c 0009 00 05 6973737565 6162
  c00c 0041 0001 0000012c 0018 0001 00 0001 0003 026832 0003 0002 01bb 0004 0004 c0000201
  00 0029 04d0 00008000 000a 000f 0006 0017 74657874`)

/** NXDOMAIN with names that point into the question and each other. */
const denial = hex(`0000 8183 0001 0000 0001 0000 04676f6e65 076578616d706c65 00 0001 0001
  c011 0006 0001 00000384 0022 026e73 c011 066e6f626f6479 c02a
  00000001 00000002 00000003 00000004 0000012c`)

export const MESSAGES: readonly Uint8Array[] = [
  ...['query-a', 'query-padded', 'ddr-query', 'ddr-answer', 'ddr-nodata', 'update-signed', 'reply-badvers'].map(golden),
  everyType,
  denial,
]
const ODD_MESSAGES = oddAnswers(5, 40)
  .map((answer) => replyOf(answer, 1, answer.question))
  .filter((wire) => wire.length < 1_500)

const zoneOf = (denial: 'nsec' | 'nsec3'): TestZone =>
  new TestZone('z.test', { denial })
    .add('www.z.test', TYPE.A, { address: '192.0.2.1' })
    .add('*.wild.z.test', TYPE.MX, { preference: 1, exchange: 'Mail.z.test' })
const zones = [zoneOf('nsec'), zoneOf('nsec3')] as const
const SIGNED: readonly Uint8Array[] = zones.flatMap((zone) =>
  (
    [
      ['www.z.test', TYPE.A],
      ['no.z.test', TYPE.A],
      ['a.wild.z.test', TYPE.MX],
      ['z.test', TYPE.DNSKEY],
    ] as const
  ).map(([name, type]) => new World([zone]).answer(queryWire(name, type))),
)
const SETS = SIGNED.flatMap((wire) => readRrsets(MessageView.over(wire)!) ?? [])
const signatures = SETS.flatMap((set) => set.signatures.map((one) => concatBytes([one.signedPart, one.signature])))
const signedRdata = (type: number): Uint8Array[] => SETS.flatMap((set) => (set.type === type ? [...set.rdatas] : []))

/** They see packets before anything else does, and may not throw. */
export const PACKET_TARGETS: Readonly<Record<string, FuzzTarget>> = {
  examineQuery: messages((wire) => {
    const examined = examineQuery(wire)
    if (examined.kind === 'error') holds(messageEnd(examined.reply) === examined.reply.length, 'a reply of one piece')
  }),
  asksForCookie: messages((wire) => void asksForCookie(wire)),
  MessageView: messages((wire) => {
    const view = MessageView.over(wire)
    if (view)
      void [view.questionName, view.questionKey, view.messageEnd, view.edns, view.signed, view.sameQuestion(asked)]
  }),
  readName: messages((wire) => {
    const name = readName(wire, 12)
    if (name !== undefined) holds(nameToWire(name) !== undefined && skipName(wire, 12) > 0, 'a name')
  }),
  messageEnd: messages((wire) => holds(messageEnd(wire) <= wire.length, 'an end inside')),
  readEdns: messages((wire) => {
    const edns = readEdns(wire, 33)
    if (edns) void [[...ednsOptions(edns)], readExtendedErrors(edns)]
  }),
  prepareAnswer: messages((wire) => {
    const answer = prepareAnswer(wire)
    if (!answer) return
    const end = writeAnswer(answer, LARGEST, 0, MessageView.over(wire)!, 10)
    holds(messageEnd(LARGEST.subarray(0, end)) === end, 'an answer of one piece')
  }),
  parseMessage: messages((wire) => {
    const message = parseMessage(wire)
    if (!message) return
    void [...message.answers, ...message.authorities, ...message.additionals].map(recordText)
  }),
  parseSvcb: messages((wire) => {
    const record = parseSvcb(wire.subarray(12))
    if (!record) return
    holds(equalBytes(encodeSvcb(record), wire.subarray(12)), 'the same octets again')
    svcbText(record)
  }),
  tsigError: messages((wire) => void tsigError(wire)),
  dnr: messages(
    (wire) =>
      void [
        parseDnrDhcpv4(wire),
        parseDnrDhcpv4Option(wire),
        parseDnrDhcpv6(wire),
        parseDnrDhcpv6Option(wire),
        parseDnrRa(wire),
      ],
    [
      'dnr-ra',
      'dnr-ra-name-only',
      'dnr-v4-option',
      'dnr-v4-name-only',
      'dnr-v4-two-instances',
      'dnr-v6-option',
      'dnr-v6-name-only',
    ].map(golden),
  ),
  FrameReader: messages((wire) => {
    const reader = new MessageReader()
    const at = wire.length > 0 ? wire[0]! % wire.length : 0
    for (const chunk of [wire.subarray(0, at), wire.subarray(at)]) {
      reader.push(chunk)
      while (reader.next());
    }
  }),
}

const PARSERS: Readonly<Record<string, FuzzTarget>> = {
  'message, written again': messages((wire) => {
    const message = parseMessage(wire)
    if (!message) return
    const again = buildMessage(message)
    holds(equalBytes(buildMessage(parseMessage(again)!), again), 'the same octets again')
  }),
  'records of DNSSEC left out': messages(
    (wire) => {
      const shorter = withoutDnssecRecords(wire)
      if (shorter === wire) return
      holds(messageEnd(shorter) === shorter.length, 'a message of one piece')
      if (parseMessage(wire)) holds(parseMessage(shorter) !== undefined, 'readable as before')
    },
    [...SIGNED, ...ODD_MESSAGES],
  ),
  'denial of a name below': messages(
    (wire) => {
      const prepared = prepareAnswer(wire)
      if (!prepared || !deniesItsName(prepared)) return
      const view = MessageView.over(prepared.wire)!
      const name = view.questionName === '.' ? 'a' : `a.${view.questionName}`
      const below = nameToWire(name)
      if (!below) return
      const query = MessageView.over(Buffer.concat([hex('0007 0100 0001 0000 0000 0000'), below, hex('001c 0001')]))!
      const length = writeDenialBelow(view, LARGEST, query, 3)
      if (length >= 0) holds(messageEnd(LARGEST.subarray(0, length)) === length, 'a message of one piece')
    },
    [denial],
  ),
  'private addresses': messages(
    (wire) => {
      const prepared = prepareAnswer(wire)
      if (!prepared) return
      findPrivateAddress(prepared.wire, prepared.questionEnd, false)
      const shorter = withoutAdditionals(prepared.wire, prepared.questionEnd)
      holds(messageEnd(shorter) === shorter.length, 'a message of one piece')
    },
    [everyType, responseWire(queryWire('a.example'), ['10.0.0.1']), ...ODD_MESSAGES],
  ),
  designations: messages((wire) => {
    const message = parseMessage(wire)
    if (message) designationsIn(message)
  }, ['ddr-answer', 'ddr-answer-dot-h2'].map(golden)),
  cookies: {
    samples: [new Uint8Array(24).fill(1), new Uint8Array(8)],
    run: (octets) =>
      holds(
        judgeCookie(new Uint8Array(16), octets, Uint8Array.of(192, 0, 2, 1), 1_800_000_000) === 'bad',
        'a bad cookie',
      ),
  },
  'snapshot of the cache': {
    samples: [
      buildSnapshot(
        ['a.example', 'b.example'].map((name) => ({
          ageS: 5,
          bits: 0,
          scope: 'guests',
          from: 'tls://192.0.2.53',
          message: responseWire(queryWire(name), ['192.0.2.1']),
        })),
        { savedAtMs: 0, settings: new Uint8Array(32), bytesMax: 10_000 },
      ).slice(0, -32),
    ],
    run(body) {
      // With a digest that fits, so that what is behind it gets to see the octets.
      const sealed = Buffer.concat([body, createHash('sha256').update(body).digest()])
      for (const { bits, message, prepared } of parseSnapshot(sealed)?.answers ?? [])
        holds(bits < 4 && prepared.wire.length <= message.length, 'an answer inside')
      parseSnapshot(body)
    },
  },
  'RRsets and their proofs': messages((wire) => {
    const prepared = prepareAnswer(wire)
    const sets = prepared && readRrsets(prepared)
    if (!prepared || !sets) return
    const [{ name, keys }] = zones
    const known = { name, keys: keys.map(({ dnskey }) => dnskey) }
    for (const set of sets) verifyRrset(set, known, TEST_NOW_S, new Budget())
    const proofs = new Denial(name, sets, new Budget())
    for (const one of ['\x02no\x01z\x04test\0', name, '\x01a\x04wild\x01z\x04test\0'])
      void [proofs.noName(one), proofs.noData(one, TYPE.A), proofs.cut(one), proofs.expansion(one, name)]
    const changes = { authenticData: true, ttlCaps: new Map(), leavesOut: isSignature }
    const rewritten = rewriteAnswer(prepared, changes)
    if (rewritten) holds(messageEnd(rewritten) === rewritten.length, 'a message of one piece')
  }, SIGNED),
  RRSIG: rdata((octets) => parseRrsig(octets, 0, octets.length), signatures),
  DNSKEY: rdata((octets) => parseDnskey(octets)?.publicKey, signedRdata(TYPE.DNSKEY)),
  DS: rdata(parseDs, [hex('1234 08 02'), new Uint8Array(36).fill(2)]),
  NSEC: rdata((octets) => typesOf(parseNsec('\x01a\0', octets)), signedRdata(TYPE.NSEC)),
  NSEC3: rdata((octets) => typesOf(parseNsec3(`\x20${'0'.repeat(32)}\x01z\0`, octets)), signedRdata(TYPE.NSEC3)),
  'canonical names': messages((wire) => void nameAt(wire, 12)),
  'trust anchors': text(
    ['. DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D'],
    parseAnchor,
  ),
  'zone text': text(
    [
      '$TTL 1h\n@ SOA a b 1 2 3 4 5\n',
      'x TXT ( "a\\"b" ; c\n d )\ny HTTPS 1 . alpn="h2,h3" key7=\\065\n',
      'z TYPE9 \\# 2 abcd\n$ORIGIN a\nb A 192.0.2.1\nb AAAA 2001:db8::1\nc MX 1 d\ne CAA 0 issue "x"\n',
    ],
    (text) => {
      const lines = text.split('\n').length
      for (const { line, column } of parseZoneText(text, { name: 'home.example', ttl: 300 }).problems)
        holds(line >= 1 && line <= lines && column >= 1 && column <= text.length + 1, 'a problem inside the text')
    },
  ),
  'hosts file': text(
    ['127.0.0.1\tlocalhost\n192.168.1.10  NAS nas.lan. # cellar\nfd00::10 nas\nfe80::1%eth0 gate\n'],
    (text) => {
      for (const { names, addresses } of readHostsFile(text).hosts)
        holds(names.length > 0 && addresses.length === 1, 'a host with a name')
    },
  ),
  'lease files': text(
    [
      '1795600000 aa:bb:cc:dd:ee:01 192.168.1.10 nas 01:aa:bb:cc:dd:ee:01\nduid 00:01\n1795600001 1 fd00::abc nas 00:01\n',
      '# br-lan 00030001aabb 1 nas 1795600000 10 128 fd00::10/128\nfd00::10\tnas\n# br-lan aa ipv4 tv -1 c0 32 192.168.1.20/32\n',
    ],
    (text) => {
      for (const { names, addresses } of readLeases(text, 'auto').hosts)
        holds(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(names[0]!) && addresses.length > 0, 'a host with a label')
    },
  ),
  'block lists': text(
    ['||ads.example^', '0.0.0.0 ads.example # why', '@@||good.example^$important', '*.x.example'],
    (_, octets) => {
      readLine(octets, 0, octets.length, ({ nameStart, nameEnd }) =>
        holds(nameStart >= 0 && nameStart < nameEnd && nameEnd <= octets.length, 'a name inside the line'),
      )
    },
  ),
  'link files': text(
    [
      'Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\neth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\n',
      `${'0'.repeat(32)} 00 ${'0'.repeat(32)} 00 ${'f'.repeat(32)} 00000400 1 0 3 eth0\n`,
    ],
    (text) => void [defaultRoutes4(text), defaultRoutes6(text)],
  ),
  'upstream URL': text(
    [
      'udp://192.0.2.1',
      'tls://9.9.9.9#dns.quad9.net',
      'https://dns.example:8443/dns-query{?dns}',
      'tcp://[2001:db8::1]:53',
    ],
    (text) => {
      try {
        for (const { port } of parseUpstreamUrl(text, [], 'may-be-looked-up').endpoints)
          holds(port > 0 && port < 65_536, 'a port')
      } catch (error) {
        if (!(error instanceof Fault) || error.code !== 'CONFIG_INVALID') throw error
      }
    },
  ),
  'DoH request': text(
    [
      '/dns-query?dns=AAABAAABAAAAAAAAA3d3dwdleGFtcGxlA2NvbQAAAQAB',
      '/dns-query?a=b&dns=AAAB',
      'application/dns-message; q=1',
    ],
    (text, octets) => {
      for (const method of ['GET', 'POST', text])
        judgeRequest({ method, path: text, contentType: text, accept: octets.length % 2 ? text : undefined })
      judgeBody(octets)
    },
  ),
  'HTTP/2 frames': {
    samples: [Buffer.concat([settings([3, 100]), get(1), data(3, Buffer.alloc(300, 7)), ping()]), settings(), ping()],
    run(octets) {
      const reader = new FrameReader()
      refusing('FRAME_SIZE_ERROR', () => {
        const bytes = Buffer.from(octets)
        const at = bytes.length > 0 ? bytes[0]! % bytes.length : 0
        for (const chunk of [bytes.subarray(0, at), bytes.subarray(at)]) {
          reader.push(chunk)
          while (reader.next()) holds(reader.start <= reader.end && reader.end <= reader.bytes.length, 'a frame inside')
        }
      })
    },
  },
  HPACK: {
    samples: [
      '828684410f7777772e6578616d706c652e636f6d',
      '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
      '3fe11f00046e616d650576616c7565',
      '400a637573746f6d2d6b65790c637573746f6d2d76616c7565be',
    ].map(hex),
    run(octets) {
      refusing('COMPRESSION_ERROR', () => {
        const decoder = new HpackDecoder(4096)
        const bytes = Buffer.from(octets)
        for (let round = 0; round < 2; round++) decoder.decode(bytes, 0, bytes.length, { field: () => {} })
      })
    },
  },
  'Huffman code': {
    samples: ['f1e3c2e5f23a6ba0ab90f4ff', '25a849e95ba97d7f', '9d29ad171863c78f0b97c8e9ae82ae43d3'].map(hex),
    run(octets) {
      const target = new Uint8Array(2 * octets.length + 8)
      holds(decodeHuffman(octets, 0, octets.length, target) <= 1.6 * octets.length, 'as long as it may get')
    },
  },
  'HTTP/2 connection': {
    samples: [
      Buffer.concat([settings([4, 100]), get(1), get(3), headers(5, block([':method', 'GET'])), ping()]),
      Buffer.concat([postHead(1), data(1, Buffer.alloc(40)), headers(3, GET, 0), ping()]),
    ],
    run(octets) {
      const socket = new TestSocket()
      const bugs: unknown[] = []
      const handler = testHandler({ failed: (error) => bugs.push(error) })
      const connection = new Connection(socket, handler, { gather, date: '', monotonicMs: () => 0 })
      const at = octets.length > 0 ? octets[0]! % octets.length : 0
      for (const chunk of [HELLO, octets.subarray(0, at), octets.subarray(at)]) socket.emit('data', Buffer.from(chunk))
      connection.sweep()
      const sent = Buffer.concat(socket.writes)
      const whole = framesOf(sent).reduce((sum, { payload }) => sum + 9 + payload.length, 0)
      socket.destroy()
      holds(whole === sent.length, 'whole frames')
      holds(bugs.length === 0, `no bug: ${String(bugs[0])}`)
    },
  },
}
const gather = gatherBuffer()

export const FUZZ_TARGETS: Readonly<Record<string, FuzzTarget>> = { ...PACKET_TARGETS, ...PARSERS }

function messages(
  run: (wire: Uint8Array) => void,
  samples: readonly Uint8Array[] = [...MESSAGES, ...ODD_MESSAGES],
): FuzzTarget {
  return { samples, run }
}

/** The data of records; `parse` gives something to look at, or undefined. */
function rdata(parse: (rdata: Uint8Array) => unknown, samples: readonly Uint8Array[]): FuzzTarget {
  return { samples, run: (octets) => void parse(octets) }
}

function text(samples: readonly string[], run: (text: string, octets: Uint8Array) => void): FuzzTarget {
  return {
    samples: samples.map((sample) => Buffer.from(sample)),
    run: (octets) => run(Buffer.from(octets).toString('utf8'), octets),
  }
}

function typesOf(record: { readonly types: Uint8Array } | undefined): boolean | undefined {
  return record && hasType(record.types, TYPE.CAA)
}

const isSignature = ({ type }: { readonly type: number }): boolean => type === TYPE.RRSIG

/** The connection may be refused with this error, and no other may be thrown. */
function refusing(code: string, run: () => void): void {
  try {
    run()
  } catch (error) {
    if (!(error instanceof ConnectionError) || error.code !== code) throw error
  }
}

function holds(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(`not ${what}`)
}
