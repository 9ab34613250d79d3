import { array, assert as check, property, string as text, tuple, integer as whole } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ConnectionError } from '../../../src/net/h2/error.ts'
import { type Field, KIND } from '../../../src/net/h2/field.ts'
import { HpackDecoder } from '../../../src/net/h2/hpack-decoder.ts'
import { STATIC_TABLE } from '../../../src/net/h2/static-table.ts'
import { randomNumbers } from '../../dns/hostile.ts'
import { block, integer, string } from '../../support/http2-wire.ts'

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

function fieldsOf(decoder: HpackDecoder, bytes: Buffer): Field[] {
  const fields: Field[] = []
  // Somewhere inside a larger buffer, as a frame is.
  const around = Buffer.concat([Buffer.of(0xff, 0xff), bytes, Buffer.of(0x82, 0x82)])
  decoder.decode(around, 2, 2 + bytes.length, { field: (field) => fields.push(field) })
  return fields
}
const lines = (decoder: HpackDecoder, bytes: Buffer): string[] =>
  fieldsOf(decoder, bytes).map(({ name, value }) => `${name}: ${value}`)
const refusal = (bytes: Buffer, decoder = new HpackDecoder(4096)): string | undefined => {
  try {
    fieldsOf(decoder, bytes)
    return undefined
  } catch (error) {
    if (!(error instanceof ConnectionError)) throw error
    return `${error.code}: ${error.message}`
  }
}

describe('RFC 7541 appendix C', () => {
  const REQUESTS = [
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com'],
    [':method: GET', ':scheme: http', ':path: /', ':authority: www.example.com', 'cache-control: no-cache'],
    [':method: GET', ':scheme: https', ':path: /index.html', ':authority: www.example.com', 'custom-key: custom-value'],
  ]
  const DATES = ['Mon, 21 Oct 2013 20:13:21 GMT', 'Mon, 21 Oct 2013 20:13:22 GMT']
  const RESPONSES = [
    [':status: 302', 'cache-control: private', `date: ${DATES[0]}`, 'location: https://www.example.com'],
    [':status: 307', 'cache-control: private', `date: ${DATES[0]}`, 'location: https://www.example.com'],
    [
      ':status: 200',
      'cache-control: private',
      `date: ${DATES[1]}`,
      'location: https://www.example.com',
      'content-encoding: gzip',
      'set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1',
    ],
  ]

  it.each([
    ['C.2.1', '400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572', 'custom-key: custom-header'],
    ['C.2.2', '040c 2f73 616d 706c 652f 7061 7468', ':path: /sample/path'],
    ['C.2.3', '1008 7061 7373 776f 7264 0673 6563 7265 74', 'password: secret'],
    ['C.2.4', '82', ':method: GET'],
  ])('%s: one field', (section, hex, line) => {
    const decoder = new HpackDecoder(4096)
    expect(lines(decoder, bytesOf(hex))).toEqual([line])
    // Only the first enters the table.
    expect(refusal(Buffer.of(0xbe), decoder) === undefined).toBe(section === 'C.2.1')
  })

  it.each([
    [
      'C.3: requests without Huffman code',
      4096,
      REQUESTS,
      [
        '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '8286 84be 5808 6e6f 2d63 6163 6865',
        '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
      ],
    ],
    [
      'C.4: requests with Huffman code',
      4096,
      REQUESTS,
      [
        '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
        '8286 84be 5886 a8eb 1064 9cbf',
        '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
      ],
    ],
    [
      'C.5: responses without Huffman code, with evictions',
      256,
      RESPONSES,
      [
        '4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
        '4803 3330 37c1 c0bf',
        '88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d 54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049 5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e 3d31',
      ],
    ],
    [
      'C.6: responses with Huffman code, with evictions',
      256,
      RESPONSES,
      [
        '4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3',
        '4883 640e ffc1 c0bf',
        '88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed 4ee5 b106 3d50 07',
      ],
    ],
  ] as const)('%s', (_, tableBytes, expected, blocks) => {
    const decoder = new HpackDecoder(tableBytes)
    expect(blocks.map((hex) => lines(decoder, bytesOf(hex)))).toEqual(expected)
  })
})

describe('what is no header block is COMPRESSION_ERROR', () => {
  it.each([
    ['RFC 7541 section 2.3.3: an index behind both tables', Buffer.of(0xbe)],
    [
      'RFC 7541 section 2.3.3: a name of an index behind both tables',
      Buffer.concat([integer(0x40, 6, 70), string('x')]),
    ],
    ['RFC 7541 section 6.1: index 0', Buffer.of(0x80)],
    ['RFC 7541 section 4.2: a table size update behind a field', Buffer.of(0x82, 0x20)],
    ['RFC 7541 section 6.3: a table larger than our setting', integer(0x20, 5, 4097)],
    ['RFC 7541 section 5.1: a number above any use', Buffer.of(0xff, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['RFC 7541 section 5.1: a number of endless zeros', Buffer.of(0xff, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00)],
    ['a number that is cut off', Buffer.of(0xff, 0x80)],
    ['a field that is cut off before its value', Buffer.concat([Buffer.of(0), string('name')])],
    ['a string that is cut off', Buffer.of(0x04, 0x0c, 0x2f)],
    ['RFC 7541 section 5.2: padding of more than seven bits', Buffer.of(0x04, 0x82, 0x1f, 0xff)],
    ['RFC 7541 section 5.2: padding of zeros', Buffer.of(0x04, 0x81, 0x18)],
    ['RFC 7541 section 5.2: the end-of-string symbol', Buffer.of(0x04, 0x84, 0xff, 0xff, 0xff, 0xff)],
  ])('%s', (_, bytes) => {
    expect(refusal(bytes)).toMatch(/^COMPRESSION_ERROR: the header block has /)
  })
})

describe('the dynamic table', () => {
  const indexed = (name: string, value: string): Buffer => Buffer.concat([Buffer.of(0x40), string(name), string(value)])

  it('RFC 7541 section 4.2: updates are taken at the start, several of them, up to our setting', () => {
    const decoder = new HpackDecoder(4096)
    fieldsOf(decoder, indexed('a', 'b'))
    expect(lines(decoder, Buffer.concat([integer(0x20, 5, 0), integer(0x20, 5, 4096), Buffer.of(0x82)]))).toEqual([
      ':method: GET',
    ])
    expect(refusal(Buffer.of(0xbe), decoder)).toContain('an index without an entry')
  })

  it('RFC 7541 section 4.4: an entry larger than the table empties it and is still a field', () => {
    const decoder = new HpackDecoder(100)
    fieldsOf(decoder, indexed('a', 'b'))
    const large = 'x'.repeat(100)
    expect(lines(decoder, indexed('c', large))).toEqual([`c: ${large}`])
    expect(refusal(Buffer.of(0xbe), decoder)).toContain('an index without an entry')
  })

  it('the oldest go first, and a table of any size holds what a plain list would', () => {
    check(
      property(
        whole({ min: 0, max: 300 }),
        array(tuple(text({ maxLength: 40, unit: 'grapheme-ascii' }), whole({ min: 0, max: 300 })), {
          maxLength: 30,
        }),
        (tableBytes, steps) => {
          const decoder = new HpackDecoder(300)
          let [model, bytesMax]: [string[], number] = [[], 300]
          const trim = (): void => {
            while (model.reduce((sum, value) => sum + 33 + value.length, 0) > bytesMax) model.pop()
          }
          const resize = (bytes: number): Buffer => {
            bytesMax = bytes
            trim()
            return integer(0x20, 5, bytes)
          }
          fieldsOf(decoder, resize(tableBytes))
          for (const [value, size] of steps) {
            const update = size % 4 === 0 ? resize(size) : Buffer.alloc(0)
            fieldsOf(decoder, Buffer.concat([update, indexed('n', value)]))
            model = [value, ...model]
            trim()
            const indices = model.map((_, place) => integer(0x80, 7, 62 + place))
            expect(fieldsOf(decoder, Buffer.concat(indices)).map((field) => field.value)).toEqual(model)
            // Refused by an index, which changes nothing here.
            expect(refusal(integer(0x80, 7, 62 + model.length), decoder)).toBeDefined()
          }
        },
      ),
      { numRuns: 300, seed: 7541 },
    )
  })
})

describe('fields are judged once', () => {
  it.each([
    ['a capital letter', 'Name', 'x'],
    ['a blank', 'na me', 'x'],
    ['an empty name', '', 'x'],
    ['a colon', 'na:me', 'x'],
    ['a pseudo-field we do not know', ':protocol', 'x'],
    ['the pseudo-field of a response', ':status', '200'],
    ['a high octet', 'näme', 'x'],
    ['NUL in a value', 'name', 'a\0b'],
    ['CR in a value', 'name', 'a\rb'],
    ['LF in a value', 'name', 'a\nb'],
    ['another control character in a value', 'name', 'a\x01b'],
    ['DEL in a value', 'name', 'a\x7fb'],
    ['a blank before a value', 'name', ' a'],
    ['a tab behind a value', 'name', 'a\t'],
    ['connection', 'connection', 'close'],
    ['proxy-connection', 'proxy-connection', 'close'],
    ['keep-alive', 'keep-alive', 'timeout=1'],
    ['transfer-encoding', 'transfer-encoding', 'chunked'],
    ['upgrade', 'upgrade', 'h2c'],
    ['te that is not trailers', 'te', 'gzip'],
  ])('faulty: %s', (_, name, value) => {
    expect(fieldsOf(new HpackDecoder(4096), block([name, value]))[0]?.kind).toBe(KIND.FAULTY)
  })

  it.each([
    ['a plain field', 'name', 'a b\tc', KIND.OTHER],
    ['an empty value', 'name', '', KIND.OTHER],
    ['high octets in a value', 'name', 'ä', KIND.OTHER],
    ['te: trailers', 'te', 'trailers', KIND.OTHER],
    ['accept', 'accept', 'x/y', KIND.ACCEPT],
    ['a pseudo-field', ':path', '/', KIND.PATH],
  ])('in order: %s', (_, name, value, kind) => {
    expect(fieldsOf(new HpackDecoder(4096), block([name, value]))[0]?.kind).toBe(kind)
  })

  it('an entry made with a faulty value does not spoil its name', () => {
    const decoder = new HpackDecoder(4096)
    expect(fieldsOf(decoder, Buffer.concat([Buffer.of(0x40), string('accept'), string(' ')]))[0]?.kind).toBe(
      KIND.FAULTY,
    )
    expect(fieldsOf(decoder, Buffer.concat([integer(0x00, 4, 62), string('a/b')]))[0]?.kind).toBe(KIND.ACCEPT)
    expect(fieldsOf(decoder, Buffer.of(0xbe))[0]?.kind).toBe(KIND.FAULTY)
  })
})

it('the static table has 61 entries', () => {
  expect(STATIC_TABLE.length).toBe(61)
  expect([STATIC_TABLE[1], STATIC_TABLE[15], STATIC_TABLE[60]]).toMatchObject([
    { name: ':method', value: 'GET' },
    { name: 'accept-encoding', value: 'gzip, deflate' },
    { name: 'www-authenticate', value: '' },
  ])
})

it('hostile blocks are read or refused with COMPRESSION_ERROR, whatever came before', () => {
  const next = randomNumbers(2026)
  const samples = [
    '828684410f7777772e6578616d706c652e636f6d',
    '828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf',
    '3fe11f00046e616d650576616c7565',
    '400a637573746f6d2d6b65790c637573746f6d2d76616c7565be',
  ].map(bytesOf)
  let decoder = new HpackDecoder(4096)
  let [read, refused] = [0, 0]
  for (let round = 0; round < 100_000; round++) {
    const bytes = Buffer.from(samples[next() % samples.length]!)
    for (let changes = next() % 4; changes > 0; changes--) bytes[next() % bytes.length] = next() & 0xff
    const end = next() % 5 === 0 ? next() % (bytes.length + 1) : bytes.length
    try {
      decoder.decode(bytes, 0, end, { field: () => {} })
      read++
    } catch (error) {
      if (!(error instanceof ConnectionError) || error.code !== 'COMPRESSION_ERROR') throw error
      refused++
      decoder = new HpackDecoder(4096)
    }
  }
  expect([read > 10_000, refused > 10_000]).toEqual([true, true])
})
