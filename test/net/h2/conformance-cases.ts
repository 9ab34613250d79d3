import { FLAG, FRAME } from '../../../src/net/h2/frame.ts'
import { PREFACE } from '../../../src/net/h2/preface.ts'
import { SETTING } from '../../../src/net/h2/settings.ts'
import {
  block,
  continuation,
  data,
  frame,
  GET,
  GET_FIELDS,
  get,
  HELLO,
  headers,
  integer,
  POST_FIELDS,
  ping,
  postHead,
  priority,
  reset,
  settings,
  string,
  uint32,
  windowUpdate,
} from '../../support/http2-wire.ts'

/** What a client sends, and what has to come of it. The sections are those of the lists that h2spec made popular. */
export interface Case {
  /** `9113` or `7541`, and the section. */
  readonly rule: string
  readonly what: string
  /** All of it; the preface and a SETTINGS frame come first. */
  readonly send: readonly Buffer[]
  /** `ok`: nothing is wrong. Else the error. */
  readonly verdict: string
  /** Streams that are answered all the same. */
  readonly answered?: readonly number[]
  /** Without the preface before it. */
  readonly bare?: boolean
}

const slow = (streamId: number): Buffer => headers(streamId, block(...withPath('/slow')))
const withPath = (path: string): (readonly [string, string])[] =>
  GET_FIELDS.map(([name, value]) => [name, name === ':path' ? path : value] as const)
const without = (name: string): (readonly [string, string])[] => GET_FIELDS.filter(([other]) => other !== name)
const request = (...fields: readonly (readonly [string, string])[]): Buffer => headers(1, block(...fields))
const more = (name: string, value: string): Buffer => request(...GET_FIELDS, [name, value])
const padded = (padding: number, payload: Uint8Array, zeros = padding): Buffer =>
  Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(zeros)])
const withPriority = (streamId: number, dependsOn: number): Buffer =>
  headers(
    streamId,
    Buffer.concat([uint32(dependsOn), Buffer.of(9), GET]),
    FLAG.END_STREAM | FLAG.END_HEADERS | FLAG.PRIORITY,
  )
const OPEN = FLAG.END_HEADERS
const CUT = FLAG.END_STREAM
const MAX = 2 ** 31 - 1

const protocol = 'GOAWAY PROTOCOL_ERROR'
const frameSize = 'GOAWAY FRAME_SIZE_ERROR'
const compression = 'GOAWAY COMPRESSION_ERROR'
const flow = 'GOAWAY FLOW_CONTROL_ERROR'
const malformed = 'RST_STREAM 1 PROTOCOL_ERROR'

function rule(name: string, ...rows: readonly (readonly [what: string, verdict: string, ...send: Buffer[]])[]): Case[] {
  return rows.map(([what, verdict, ...send]) => ({ rule: name, what, verdict, send }))
}

const served = (name: string, what: string, answered: readonly number[], ...send: Buffer[]): Case => ({
  rule: name,
  what,
  verdict: 'ok',
  send,
  answered,
})

export const CASES: readonly Case[] = [
  {
    rule: '9113 3.4',
    what: 'a preface that is none',
    verdict: protocol,
    bare: true,
    send: [Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
  },
  {
    rule: '9113 3.4',
    what: 'a first frame that is not SETTINGS',
    verdict: protocol,
    bare: true,
    send: [PREFACE, ping()],
  },
  {
    rule: '9113 3.4',
    what: 'a first frame that only acknowledges',
    verdict: protocol,
    bare: true,
    send: [PREFACE, frame(FRAME.SETTINGS, FLAG.ACK, 0)],
  },
  served('9113 3.4', 'a preface and a request in one go', [1], get(1)),
  ...rule(
    '9113 4.1',
    ['a frame of unknown type', 'ok', frame(0x16, 0, 0, Buffer.alloc(8))],
    ['flags nobody has defined', 'ok', frame(FRAME.PING, 0x16, 0, Buffer.alloc(8))],
    ['the reserved bit', 'ok', frame(FRAME.PING, 0, 0x8000_0000, Buffer.alloc(8))],
  ),
  ...rule(
    '9113 4.2',
    ['DATA of the largest size', 'ok', postHead(1), data(1, Buffer.alloc(16_384))],
    ['DATA above the largest size', frameSize, postHead(1), data(1, Buffer.alloc(16_385))],
    ['HEADERS above the largest size', frameSize, headers(1, Buffer.alloc(16_385))],
    ['a frame of unknown type above the largest size', frameSize, frame(0x16, 0, 0, Buffer.alloc(16_385))],
  ),
  ...rule(
    '9113 4.3',
    ['a header block that is none', compression, headers(1, Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff))],
    ['PRIORITY inside a header block', protocol, headers(1, GET, CUT), priority(1, 0), continuation(1, GET)],
    ['HEADERS of another stream inside a header block', protocol, headers(1, GET, CUT), get(3)],
    ['a frame of unknown type inside a header block', protocol, headers(1, GET, CUT), frame(0x16, 0, 0)],
    ['PING inside a header block', protocol, headers(1, GET, CUT)],
  ),
  served(
    '9113 4.3',
    'a header block split anywhere',
    [1],
    headers(1, GET.subarray(0, 7), CUT),
    continuation(1, GET.subarray(7, 8), 0),
    continuation(1, GET.subarray(8)),
  ),
  served(
    '9113 4.3',
    'empty fragments',
    [1],
    headers(1, Buffer.alloc(0), CUT),
    continuation(1, Buffer.alloc(0), 0),
    continuation(1, GET),
  ),
  ...rule(
    '9113 5.1',
    ['idle: DATA', protocol, data(1, Buffer.from('x'))],
    ['idle: RST_STREAM', protocol, reset(1)],
    ['idle: WINDOW_UPDATE', protocol, windowUpdate(1, 100)],
    ['idle: CONTINUATION', protocol, continuation(1, GET)],
    ['half-closed (remote): DATA', 'RST_STREAM 1 STREAM_CLOSED', slow(1), data(1, Buffer.from('x'))],
    ['half-closed (remote): HEADERS', 'RST_STREAM 1 STREAM_CLOSED', slow(1), get(1)],
    ['half-closed (remote): CONTINUATION', protocol, slow(1), continuation(1, GET)],
    ['half-closed (remote): WINDOW_UPDATE, PRIORITY', 'ok', slow(1), windowUpdate(1, 100), priority(1, 0)],
    ['reset by the client: DATA', 'RST_STREAM 1 STREAM_CLOSED', postHead(1), reset(1), data(1, Buffer.from('x'))],
    ['reset by the client: HEADERS', 'RST_STREAM 1 STREAM_CLOSED', slow(1), reset(1), get(1)],
    ['reset by the client: CONTINUATION', protocol, slow(1), reset(1), continuation(1, GET)],
    [
      'reset by the client: WINDOW_UPDATE, PRIORITY, RST_STREAM',
      'ok',
      slow(1),
      reset(1),
      windowUpdate(1, 1),
      priority(1, 0),
      reset(1),
    ],
    ['closed: DATA', 'GOAWAY STREAM_CLOSED', get(1), data(1, Buffer.from('x'))],
    ['closed: HEADERS', 'GOAWAY STREAM_CLOSED', get(1), get(1)],
    ['closed: CONTINUATION', protocol, get(1), continuation(1, GET)],
    ['closed: WINDOW_UPDATE, PRIORITY, RST_STREAM', 'ok', get(1), windowUpdate(1, 1), priority(1, 0), reset(1)],
  ),
  {
    rule: '9113 5.1',
    what: 'reset by us: what was under way is ignored',
    verdict: malformed,
    answered: [3],
    send: [
      headers(1, block(...without(':path')), OPEN),
      data(1, Buffer.from('x'), 0),
      headers(1, block(['a', 'b'])),
      get(3),
    ],
  },
  ...rule(
    '9113 5.1.1',
    ['an even stream', protocol, get(2)],
    ['a stream lower than one before it', protocol, get(5), get(3)],
    ['HEADERS on stream 0', protocol, get(0)],
    ['DATA on a stream that would be ours to open', protocol, get(5), data(2, Buffer.from('x'))],
  ),
  ...rule('9113 5.1.2', [
    'more streams than allowed',
    'RST_STREAM 257 REFUSED_STREAM',
    ...Array.from({ length: 129 }, (_, index) => slow(2 * index + 1)),
  ]),
  ...rule(
    '9113 5.3',
    ['PRIORITY on an idle stream that depends on itself', protocol, priority(1, 1)],
    ['PRIORITY on an open stream that depends on itself', malformed, slow(1), priority(1, 1)],
    ['HEADERS that depend on themselves', malformed, withPriority(1, 1)],
    ['HEADERS too short for their priority', frameSize, headers(1, Buffer.alloc(4), FLAG.END_HEADERS | FLAG.PRIORITY)],
  ),
  served(
    '9113 5.3',
    'priorities are ignored',
    [1, 3],
    priority(7, 1),
    withPriority(1, 11),
    withPriority(3, 0),
    priority(1, 3),
  ),
  ...rule('9113 5.4.1', [
    'a connection error is said with GOAWAY before the end',
    protocol,
    get(1),
    windowUpdate(0, 0),
  ]),
  ...rule(
    '9113 5.5',
    [
      'frames of unknown type on any stream',
      'ok',
      frame(0x0a, 0xff, 0, Buffer.alloc(3)),
      frame(0xff, 0, 1),
      frame(0x10, 0, 2, Buffer.from('u=1')),
    ],
    ['an unknown setting', 'ok', settings([0xfff0, 7], [0x8, 1])],
  ),
  ...rule(
    '9113 6.1',
    ['DATA on stream 0', protocol, data(0, Buffer.from('x'))],
    [
      'DATA with more padding than payload',
      protocol,
      postHead(1),
      data(1, padded(6, Buffer.from('12345'), 0), FLAG.PADDED | FLAG.END_STREAM),
    ],
    ['padded DATA without the length of its padding', frameSize, postHead(1), data(1, Buffer.alloc(0), FLAG.PADDED)],
  ),
  served(
    '9113 6.1',
    'DATA with padding, also of nothing else',
    [1],
    postHead(1),
    data(1, padded(255, Buffer.from('x')), FLAG.PADDED),
    data(1, padded(4, Buffer.alloc(0)), FLAG.PADDED | FLAG.END_STREAM),
  ),
  ...rule(
    '9113 6.2',
    [
      'HEADERS with more padding than payload',
      protocol,
      headers(1, padded(GET.length + 1, GET, 0), FLAG.PADDED | FLAG.END_HEADERS),
    ],
    [
      'padded HEADERS without the length of its padding',
      frameSize,
      headers(1, Buffer.alloc(0), FLAG.PADDED | FLAG.END_HEADERS),
    ],
  ),
  served(
    '9113 6.2',
    'HEADERS with padding',
    [1],
    headers(1, padded(20, GET), FLAG.PADDED | FLAG.END_HEADERS | FLAG.END_STREAM),
  ),
  ...rule(
    '9113 6.3',
    ['PRIORITY on stream 0', protocol, priority(0, 1)],
    [
      'PRIORITY that is not five octets',
      'RST_STREAM 1 FRAME_SIZE_ERROR',
      slow(1),
      frame(FRAME.PRIORITY, 0, 1, Buffer.alloc(4)),
    ],
    ['PRIORITY that is not five octets, on an idle stream', frameSize, frame(FRAME.PRIORITY, 0, 1, Buffer.alloc(6))],
  ),
  ...rule(
    '9113 6.4',
    ['RST_STREAM on stream 0', protocol, reset(0)],
    ['RST_STREAM that is not four octets', frameSize, slow(1), frame(FRAME.RST_STREAM, 0, 1, Buffer.alloc(3))],
    ['RST_STREAM of an unknown code', 'ok', slow(1), reset(1, 0xffff)],
  ),
  ...rule(
    '9113 6.5',
    ['an acknowledgement with settings', frameSize, frame(FRAME.SETTINGS, FLAG.ACK, 0, Buffer.alloc(6))],
    ['SETTINGS on a stream', protocol, frame(FRAME.SETTINGS, 0, 1, Buffer.alloc(6))],
    ['SETTINGS with half an entry', frameSize, frame(FRAME.SETTINGS, 0, 0, Buffer.alloc(3))],
  ),
  ...rule(
    '9113 6.5.2',
    ['ENABLE_PUSH that is neither 0 nor 1', protocol, settings([SETTING.ENABLE_PUSH, 2])],
    ['INITIAL_WINDOW_SIZE above 2^31-1', flow, settings([SETTING.INITIAL_WINDOW_SIZE, 2 ** 31])],
    ['MAX_FRAME_SIZE below 16384', protocol, settings([SETTING.MAX_FRAME_SIZE, 16_383])],
    ['MAX_FRAME_SIZE above 2^24-1', protocol, settings([SETTING.MAX_FRAME_SIZE, 2 ** 24])],
    [
      'the bounds themselves',
      'ok',
      settings(
        [SETTING.ENABLE_PUSH, 1],
        [SETTING.INITIAL_WINDOW_SIZE, MAX],
        [SETTING.MAX_FRAME_SIZE, 16_384],
        [SETTING.MAX_FRAME_SIZE, 2 ** 24 - 1],
        [SETTING.HEADER_TABLE_SIZE, 2 ** 32 - 1],
        [SETTING.MAX_CONCURRENT_STREAMS, 0],
      ),
    ],
  ),
  ...rule('9218 2.1', [
    'NO_RFC7540_PRIORITIES that is neither 0 nor 1',
    protocol,
    settings([SETTING.NO_RFC7540_PRIORITIES, 2]),
  ]),
  ...rule('9113 6.6', [
    'PUSH_PROMISE',
    protocol,
    get(1),
    frame(FRAME.PUSH_PROMISE, FLAG.END_HEADERS, 1, Buffer.concat([uint32(2), GET])),
  ]),
  ...rule(
    '9113 6.7',
    ['PING on a stream', protocol, frame(FRAME.PING, 0, 1, Buffer.alloc(8))],
    ['PING that is not eight octets', frameSize, frame(FRAME.PING, 0, 0, Buffer.alloc(6))],
    ['an acknowledgement nobody asked for', 'ok', ping('12345678', FLAG.ACK)],
  ),
  ...rule(
    '9113 6.8',
    ['GOAWAY on a stream', protocol, frame(FRAME.GOAWAY, 0, 1, Buffer.alloc(8))],
    ['GOAWAY without its reason', frameSize, frame(FRAME.GOAWAY, 0, 0, Buffer.alloc(7))],
  ),
  ...rule(
    '9113 6.9',
    ['a window update of nothing for the connection', protocol, windowUpdate(0, 0)],
    ['a window update of nothing for a stream', malformed, slow(1), windowUpdate(1, 0)],
    ['WINDOW_UPDATE that is not four octets', frameSize, frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.alloc(3))],
  ),
  ...rule(
    '9113 6.9.1',
    ['a connection window above 2^31-1', flow, windowUpdate(0, MAX), windowUpdate(0, MAX)],
    [
      'a stream window above 2^31-1',
      'RST_STREAM 1 FLOW_CONTROL_ERROR',
      slow(1),
      windowUpdate(1, MAX),
      windowUpdate(1, MAX),
    ],
  ),
  ...rule(
    '9113 6.9.2',
    [
      'INITIAL_WINDOW_SIZE that takes an open stream above 2^31-1',
      flow,
      slow(1),
      windowUpdate(1, MAX - 65_535),
      settings([SETTING.INITIAL_WINDOW_SIZE, 65_536]),
    ],
    [
      'more data than the stream window',
      'RST_STREAM 1 FLOW_CONTROL_ERROR',
      headers(1, block([':method', 'POST'], ...withPath('/slow').slice(1)), OPEN),
      ...Array.from({ length: 9 }, () => data(1, Buffer.alloc(16_384), 0)),
    ],
  ),
  ...rule(
    '9113 6.10',
    ['CONTINUATION without HEADERS', protocol, continuation(1, GET)],
    ['CONTINUATION on stream 0', protocol, headers(1, GET, CUT), continuation(0, GET)],
    ['CONTINUATION of another stream', protocol, headers(1, GET, CUT), continuation(3, GET)],
    ['CONTINUATION behind END_HEADERS', protocol, postHead(1), continuation(1, GET)],
    [
      'CONTINUATION behind a finished block',
      protocol,
      headers(1, GET, CUT),
      continuation(1, Buffer.alloc(0)),
      continuation(1, GET),
    ],
    ['CONTINUATION behind DATA', protocol, postHead(1), data(1, Buffer.from('x'), 0), continuation(1, GET)],
  ),
  ...rule('9113 7', [
    'GOAWAY of an unknown code',
    'ok',
    frame(FRAME.GOAWAY, 0, 0, Buffer.concat([uint32(0), uint32(0xff)])),
  ]),
  ...rule('9113 8.1', [
    'a second HEADERS that does not end the stream',
    malformed,
    postHead(1),
    headers(1, block(['a', 'b']), OPEN),
  ]),
  served('9113 8.1', 'trailers', [1], postHead(1), data(1, Buffer.from('x'), 0), headers(1, block(['x-trailer', 'b']))),
  ...rule(
    '9113 8.2.1',
    ['a name in capitals', malformed, more('X-Test', 'a')],
    ['a name with a blank', malformed, more('x test', 'a')],
    ['a name without letters', malformed, more('', 'a')],
    ['a name with an octet above 127', malformed, more('x-\xe4', 'a')],
    ['a name with a colon', malformed, more('x:test', 'a')],
    ['NUL in a value', malformed, more('x-test', 'a\0')],
    ['CR in a value', malformed, more('x-test', 'a\rb')],
    ['LF in a value', malformed, more('x-test', 'a\nb')],
    ['a blank before a value', malformed, more('x-test', ' a')],
    ['a blank behind a value', malformed, more('x-test', 'a ')],
    ['CR in :path', malformed, request(...withPath('/\r'))],
  ),
  ...rule(
    '9113 8.2.2',
    ['connection', malformed, more('connection', 'keep-alive')],
    ['proxy-connection', malformed, more('proxy-connection', 'keep-alive')],
    ['keep-alive', malformed, more('keep-alive', 'timeout=5')],
    ['transfer-encoding', malformed, more('transfer-encoding', 'chunked')],
    ['upgrade', malformed, more('upgrade', 'websocket')],
    ['te that is not trailers', malformed, more('te', 'trailers, deflate')],
    ['te: trailers', 'ok', more('te', 'trailers')],
  ),
  ...rule(
    '9113 8.3',
    ['an unknown pseudo-field', malformed, request([':test', 'a'], ...GET_FIELDS)],
    ['the pseudo-field of a response', malformed, request([':status', '200'], ...GET_FIELDS)],
    ['a pseudo-field behind a field', malformed, request(...without(':path'), ['a', 'b'], [':path', '/'])],
    ['a pseudo-field in trailers', malformed, postHead(1), headers(1, block([':method', 'POST']))],
  ),
  ...rule(
    '9113 8.3.1',
    ['no :method', malformed, request(...without(':method'))],
    ['no :scheme', malformed, request(...without(':scheme'))],
    ['no :path', malformed, request(...without(':path'))],
    ['an empty :path', malformed, request(...withPath(''))],
    ['a :path that does not begin with a slash', malformed, request(...withPath('dns-query'))],
    ['two :method', malformed, request([':method', 'GET'], ...GET_FIELDS)],
    ['two :scheme', malformed, request([':scheme', 'https'], ...GET_FIELDS)],
    ['two :path', malformed, request([':path', '/'], ...GET_FIELDS)],
    ['two :authority', malformed, request([':authority', 'dns.test'], ...GET_FIELDS)],
    ['host that is not :authority', malformed, more('host', 'other.test')],
    ['host twice', malformed, request(...GET_FIELDS, ['host', 'dns.test'], ['host', 'dns.test'])],
    ['no fields', malformed, headers(1, Buffer.alloc(0))],
  ),
  served(
    '9113 8.3.1',
    'no :authority; host that is :authority',
    [1, 3],
    request(...without(':authority')),
    headers(3, block(...GET_FIELDS, ['host', 'DNS.test'])),
  ),
  ...rule(
    '9113 8.1.1',
    [
      'content-length that is not that of DATA',
      malformed,
      postHead(1, ['content-length', '2']),
      data(1, Buffer.from('x')),
    ],
    [
      'content-length that is not that of several DATA',
      malformed,
      postHead(1, ['content-length', '1']),
      data(1, Buffer.from('x'), 0),
      data(1, Buffer.from('x')),
    ],
    ['content-length without DATA', malformed, headers(1, block(...POST_FIELDS, ['content-length', '1']))],
    ['content-length that is no number', malformed, postHead(1, ['content-length', '0x1']), data(1, Buffer.from('x'))],
    [
      'two different content-length',
      malformed,
      postHead(1, ['content-length', '1'], ['content-length', '2']),
      data(1, Buffer.from('x')),
    ],
    [
      'content-length that is not that of DATA and trailers',
      malformed,
      postHead(1, ['content-length', '2']),
      data(1, Buffer.from('x'), 0),
      headers(1, block(['a', 'b'])),
    ],
  ),
  served(
    '9113 8.1.1',
    'content-length that fits',
    [1, 3],
    postHead(1, ['content-length', '1']),
    data(1, Buffer.from('x')),
    headers(3, block(...GET_FIELDS, ['content-length', '0'])),
  ),
  ...rule(
    '9113 8.5',
    ['CONNECT with :path', malformed, request([':method', 'CONNECT'], [':authority', 'a:1'], [':path', '/'])],
    ['CONNECT with :scheme', malformed, request([':method', 'CONNECT'], [':authority', 'a:1'], [':scheme', 'https'])],
    ['CONNECT without :authority', malformed, request([':method', 'CONNECT'])],
  ),
  ...rule('7541 2.3.3', ['an index behind the tables', compression, headers(1, Buffer.concat([GET, Buffer.of(0xbe)]))]),
  ...rule('7541 4.2', [
    'a table size update at the end',
    compression,
    headers(1, Buffer.concat([GET, Buffer.of(0x20)])),
  ]),
  ...rule(
    '7541 5.2',
    [
      'Huffman padding of more than seven bits',
      compression,
      headers(1, Buffer.concat([GET, Buffer.of(0, 0x82, 0x1f, 0xff), string('a')])),
    ],
    ['Huffman padding of zeros', compression, headers(1, Buffer.concat([GET, Buffer.of(0, 0x81, 0x18), string('a')]))],
    [
      'the end-of-string symbol',
      compression,
      headers(1, Buffer.concat([GET, Buffer.of(0, 0x84, 0xff, 0xff, 0xff, 0xff), string('a')])),
    ],
  ),
  ...rule('7541 6.1', ['index 0', compression, headers(1, Buffer.concat([GET, Buffer.of(0x80)]))]),
  ...rule('7541 6.3', [
    'a table larger than our setting',
    compression,
    headers(1, Buffer.concat([integer(0x20, 5, 4097), GET])),
  ]),
  served('7541 6.3', 'a table as large as our setting', [1], headers(1, Buffer.concat([integer(0x20, 5, 4096), GET]))),
  ...rule('7541 2.2', [
    'a refused request still changes the tables',
    'RST_STREAM 1 PROTOCOL_ERROR',
    headers(1, Buffer.concat([Buffer.of(0x40), string('x-a'), string('b')])),
    headers(3, Buffer.concat([GET, Buffer.of(0xbe)])),
  ]),
]

export const bytesOf = ({ bare, send }: Case): Buffer => Buffer.concat(bare === true ? send : [HELLO, ...send])
