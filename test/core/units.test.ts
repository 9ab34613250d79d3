import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  closest,
  type Reader,
  Refusal,
  readByteSize,
  readChoice,
  readDomainName,
  readDuration,
  readFilePath,
  readFlag,
  readHostPort,
  readHttpsUrl,
  readInteger,
  shown,
} from '../../src/core/units.ts'

/** The refusal as a settings file shows it. */
function refusalOf(read: Reader<unknown>, value: unknown): string {
  try {
    return `accepted as ${JSON.stringify(read(value))}`
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return error.hint === undefined ? error.message : `${error.message} (${error.hint})`
  }
}

interface Sample {
  readonly read: Reader<unknown>
  readonly good: readonly (readonly [unknown, unknown])[]
  readonly bad: readonly (readonly [unknown, string | RegExp])[]
}

const address = readHostPort()
const withPort = readHostPort(853)

const SAMPLES: Readonly<Record<string, Sample>> = {
  duration: {
    read: readDuration,
    good: [
      ['250ms', 250],
      ['30s', 30_000],
      ['5m', 300_000],
      ['1h', 3_600_000],
      ['7d', 604_800_000],
      ['2w', 1_209_600_000],
      ['0s', 0],
    ],
    bad: [
      [30, 'expected a duration such as 30s, got 30 (a whole number and one of ms, s, m, h, d or w, no space)'],
      ['30', /got "30"/],
      ['1.5h', /got "1.5h"/],
      ['30 s', /no space/],
      ['-1s', /got/],
      ['30S', /got/],
      ['1month', /got/],
      ['s', /got/],
      ['1toString', /got/],
      ['999999999999999w', /got/],
      [['30s'], /got a list/],
      [{}, /got a section/],
    ],
  },
  size: {
    read: readByteSize,
    good: [
      ['512B', 512],
      ['64KiB', 65_536],
      ['16MiB', 16_777_216],
      ['1GiB', 1_073_741_824],
    ],
    bad: [
      [16, 'expected a size such as 16MiB, got 16 (a whole number and one of B, KiB, MiB or GiB, no space)'],
      ['16MB', /got "16MB"/],
      ['16m', /got/],
    ],
  },
  'address and port': {
    read: address,
    good: [
      ['127.0.0.1:5453', { host: '127.0.0.1', port: 5453 }],
      ['[::1]:853', { host: '::1', port: 853 }],
      ['[fe80::1%eth0]:53', { host: 'fe80::1%eth0', port: 53 }],
      ['Resolver.example:0', { host: 'resolver.example', port: 0 }],
      ['localhost:65535', { host: 'localhost', port: 65_535 }],
    ],
    bad: [
      [5453, 'expected an address such as 127.0.0.1:5453, got 5453'],
      ['127.0.0.1', 'the port is missing after "127.0.0.1" (expected an address such as 127.0.0.1:5453)'],
      ['::1', 'the address "::1" has no brackets (write "[::1]:53")'],
      ['127.0.0.1:65536', '65536 is no port (ports end at 65535)'],
      ['127.0.0.1:', /expected an address/],
      ['256.0.0.1:53', /expected an address/],
      ['[127.0.0.1]:53', /expected an address/],
      ['[::1]', /the port is missing/],
      ['a b:53', /expected an address/],
      [':53', /expected an address/],
      ['host:53/x', /expected an address/],
    ],
  },
  'address with a usual port': {
    read: withPort,
    good: [
      ['127.0.0.1', { host: '127.0.0.1', port: 853 }],
      ['[::1]', { host: '::1', port: 853 }],
      ['a.example:1', { host: 'a.example', port: 1 }],
    ],
    bad: [['::1', 'the address "::1" has no brackets (write "[::1]:853")']],
  },
  'domain name': {
    read: readDomainName(2),
    good: [
      ['cpe.example.net', 'cpe.example.net'],
      ['CPE.Example.NET.', 'cpe.example.net'],
      ['bücher.example', 'xn--bcher-kva.example'],
      ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
      [`${'a'.repeat(63)}.example`, `${'a'.repeat(63)}.example`],
    ],
    bad: [
      ['cpe', 'expected a full domain name such as cpe.example.net, got "cpe"'],
      ['192.0.2.1', 'expected a domain name, got the address 192.0.2.1'],
      ['::1', 'expected a domain name, got the address ::1'],
      ['a..example', /such as cpe.example.net/],
      ['-a.example', /got/],
      ['a_b.example', /got/],
      [`${'a'.repeat(64)}.example`, /got/],
      [`${'a.'.repeat(130)}example`, /got/],
      ['a b.example', /got/],
      ['*.example.net', /got/],
      ['example.123', /got/],
      ['', /got ""/],
      ['.', /got "."/],
      [5, /got 5/],
      ['a\u{0}.example', /got/],
    ],
  },
  'name of one label': {
    read: readDomainName(1),
    good: [['lan', 'lan']],
    bad: [['', /got/]],
  },
  'https URL': {
    read: readHttpsUrl,
    good: [
      ['https://acme.example/directory', 'https://acme.example/directory'],
      ['https://ACME.example:7443', 'https://ACME.example:7443'],
    ],
    bad: [
      [
        'http://acme.example/',
        'expected a URL such as https://acme.example/directory, got "http://acme.example/" (only https is accepted here)',
      ],
      ['acme.example', /expected a URL/],
      ['https://kim:secret@acme.example/', 'a URL must not contain a user name or password'],
      ['https://acme.example/#x', /must not contain "#"/],
      [7, /got 7/],
    ],
  },
  path: {
    read: readFilePath,
    good: [
      ['/etc/hearth/root.pem', '/etc/hearth/root.pem'],
      ['root.pem', 'root.pem'],
    ],
    bad: [
      ['', 'expected the path of a file, got ""'],
      ['~/root.pem', '"~" is not expanded in "~/root.pem" (write the whole path)'],
      ['a\0b', /expected the path/],
      [true, /got true/],
    ],
  },
  flag: {
    read: readFlag,
    good: [
      [true, true],
      [false, false],
    ],
    bad: [
      ['yes', 'expected true or false, got "yes"'],
      [1, /got 1/],
    ],
  },
  integer: {
    read: readInteger(1, 9),
    good: [
      [1, 1],
      [9, 9],
    ],
    bad: [
      [0, 'expected a whole number from 1 to 9, got 0'],
      [10, /got 10/],
      [1.5, /got 1.5/],
      ['5', /got "5"/],
      [Number.NaN, /got NaN/],
    ],
  },
  choice: {
    read: readChoice(['ask', 'lan', 'never']),
    good: [['lan', 'lan']],
    bad: [
      ['LAN', 'expected ask, lan or never, got "LAN" (did you mean `lan`?)'],
      ['everyone', 'expected ask, lan or never, got "everyone"'],
      ['toString', /got "toString"/],
      [null, /got nothing/],
    ],
  },
}

describe.each(Object.entries(SAMPLES))('%s', (_name, { read, good, bad }) => {
  it.each(good)('reads %j', (value, expected) => expect(read(value)).toEqual(expected))
  it.each(bad)('refuses %j', (value, expected) => {
    const refusal = refusalOf(read, value)
    if (typeof expected === 'string') expect(refusal).toBe(expected)
    else expect(refusal).toMatch(expected)
    expect(refusal).not.toMatch(/^accepted/)
  })
  it('either reads or refuses whatever it is given', () => {
    const anything = fc.oneof(fc.anything(), fc.string(), fc.webUrl(), fc.ipV6())
    const isWorded = (value: unknown): boolean => typeof refusalOf(read, value) === 'string'
    fc.assert(fc.property(anything, isWorded), { seed: 7, numRuns: 50 })
  })
})

it('shows long values in short', () => {
  expect(shown('x'.repeat(500))).toHaveLength(61)
  expect(refusalOf(readFlag, 'x'.repeat(500)).length).toBeLessThan(120)
})

it.each([
  ['litsen', 'listen'],
  ['Listen', 'listen'],
  ['upstream', 'upstreams'],
  ['lcoal', 'local'],
  ['zzz', undefined],
  ['', undefined],
  ['x'.repeat(1000), undefined],
])('takes %j for %j', (word, expected) => {
  expect(closest(word, ['listen', 'upstreams', 'local', 'cache'])).toBe(expected)
})
