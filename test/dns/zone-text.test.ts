import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { TYPE, typeName } from '../../src/dns/codes.ts'
import { RECORD_CODECS, rdataText } from '../../src/dns/rdata.ts'
import { parseZoneText, type ZoneRecord } from '../../src/dns/zone-text.ts'
import { randomNumbers } from './hostile.ts'

const ZONE = { name: 'home.example', ttl: 300 }
const read = (text: string) => parseZoneText(text, ZONE)

/** As our own codecs write what the octets say, so that nothing is compared with itself. */
function lineOf({ name, ttl, type, rdata }: ZoneRecord): string {
  const data = RECORD_CODECS.get(type)?.read(rdata, 0, rdata.length) ?? rdata
  return `${name} ${ttl} ${typeName(type)} ${rdataText(type, data)}`.trimEnd()
}
function lines(text: string): string[] {
  const { records, problems } = read(text)
  expect(problems).toEqual([])
  return records.map(lineOf)
}
const problemsOf = (text: string): string[] =>
  read(text).problems.map(
    ({ line, column, problem, hint }) => `${line}:${column}: ${problem}${hint ? ` (${hint})` : ''}`,
  )

describe('a record', () => {
  it.each([
    ['nas 300 IN A 192.168.1.10', 'nas.home.example 300 A 192.168.1.10'],
    ['* A 192.168.1.1', '*.home.example 300 A 192.168.1.1'],
    ['@ IN 1h30m AAAA FD00:0::0010', 'home.example 5400 AAAA fd00::10'],
    ['www CNAME nas', 'www.home.example 300 CNAME nas.home.example.'],
    ['www.home.example. CNAME other.example.', 'www.home.example 300 CNAME other.example.'],
    ['@ MX 10 mail', 'home.example 300 MX 10 mail.home.example.'],
    ['@ NS @', 'home.example 300 NS home.example.'],
    ['1 PTR nas', '1.home.example 300 PTR nas.home.example.'],
    ['_http._tcp SRV 0 0 80 nas', '_http._tcp.home.example 300 SRV 0 0 80 nas.home.example.'],
    ['old DNAME new', 'old.home.example 300 DNAME new.home.example.'],
    ['@ CAA 0 issue "ca.example; x=y"', 'home.example 300 CAA 0 issue "ca.example; x=y"'],
    [
      '@ SOA ns admin 7 1h 20m 1w 1m',
      'home.example 300 SOA ns.home.example. admin.home.example. 7 3600 1200 604800 60',
    ],
    ['nas TXT plain "two words" ""', 'nas.home.example 300 TXT "plain" "two words" ""'],
    [String.raw`nas TXT "a \"b\" \\ \065\;"`, String.raw`nas.home.example 300 TXT "a \"b\" \\ A;"`],
    ['nas TXT "grün"', String.raw`nas.home.example 300 TXT "gr\195\188n"`],
    ['@ HTTPS 0 nas', 'home.example 300 HTTPS 0 nas.home.example.'],
    [
      'nas HTTPS 1 . alpn="h2,h3" port=8443 ipv6hint=fd00::1,fd00::2 no-default-alpn',
      'nas.home.example 300 HTTPS 1 . alpn="h2,h3" no-default-alpn port="8443" ipv6hint="fd00::1,fd00::2"',
    ],
    [
      String.raw`x SVCB 1 y.example. key65000="a b" mandatory=port,alpn alpn="f\\\\oo\\,bar,h2" port=1`,
      String.raw`x.home.example 300 SVCB 1 y.example. mandatory="alpn,port" alpn="f\\\\oo\\,bar,h2" port="1" key65000="a b"`,
    ],
    ['x SVCB 1 . ech=AEX+DQ== dohpath=/q{?dns}', 'x.home.example 300 SVCB 1 . ech="AEX+DQ==" dohpath="/q{?dns}"'],
    ['x RESINFO exterr=15-17', 'x.home.example 300 RESINFO "exterr=15-17"'],
    ['x TLSA 3 1 1 0c72 ac70', String.raw`x.home.example 300 TLSA \# 7 0301010c72ac70`],
    ['x SSHFP 4 2 123456', String.raw`x.home.example 300 SSHFP \# 5 0402123456`],
    ['x DS 60485 13 2 ABCD', String.raw`x.home.example 300 DS \# 6 ec450d02abcd`],
    ['x DNSKEY 257 3 13 q8 3v', String.raw`x.home.example 300 DNSKEY \# 7 0101030dabcdef`],
    ['x URI 10 1 "https://x/"', String.raw`x.home.example 300 URI \# 14 000a000168747470733a2f2f782f`],
    ['x NAPTR 100 10 u E2U+sip "" .', String.raw`x.home.example 300 NAPTR \# 16 0064000a01750745325` + '52b7369700000'],
    [String.raw`x TYPE65280 \# 4 c000 0201`, String.raw`x.home.example 300 TYPE65280 \# 4 c0000201`],
    [String.raw`x TYPE65280 \# 0`, String.raw`x.home.example 300 TYPE65280 \# 0`],
    [String.raw`x TYPE1 \# 4 c0000201`, 'x.home.example 300 A 192.0.2.1'],
    [
      String.raw`x LOC \# 16 00000000800000008000000000989680`,
      String.raw`x.home.example 300 LOC \# 16 00000000800000008000000000989680`,
    ],
    [String.raw`a\.b A 192.0.2.1`, String.raw`a\.b.home.example 300 A 192.0.2.1`],
    [String.raw`\@ A 192.0.2.1`, '@.home.example 300 A 192.0.2.1'],
    ['"quoted name" A 192.0.2.1 ; comment', undefined],
  ])('%s', (text, expected) => {
    if (expected === undefined) expect(problemsOf(text)).toHaveLength(1)
    else expect(lines(text)).toEqual([expected])
  })
})

describe('a file', () => {
  it('has directives, comments, brackets, owners that are left out', () => {
    const text = `; the zone of the house
$TTL 1h
@   IN SOA ns admin (
      2026112401 ; serial
      3600 1200
      604800 60 )
      NS ns\r
ns    A  192.168.1.1
      AAAA fd00::1
$ORIGIN lab.home.example.
esp 30 IN A 192.168.9.9
esp2 IN 30 TXT ( "in" ; here
   "brackets" )
$ORIGIN deeper
x CNAME @
`
    expect(lines(text)).toEqual([
      'home.example 3600 SOA ns.home.example. admin.home.example. 2026112401 3600 1200 604800 60',
      'home.example 3600 NS ns.home.example.',
      'ns.home.example 3600 A 192.168.1.1',
      'ns.home.example 3600 AAAA fd00::1',
      'esp.lab.home.example 30 A 192.168.9.9',
      'esp2.lab.home.example 30 TXT "in" "brackets"',
      'x.deeper.lab.home.example 3600 CNAME deeper.lab.home.example.',
    ])
    expect(read(text).records.map(({ line }) => line)).toEqual([3, 7, 8, 9, 11, 12, 15])
  })

  it('is read on after a problem, and every problem is told', () => {
    const text = 'a A 192.0.2.1\nb A 192.0.2\nc A 192.0.2.3\nd TXT "open\ne A 192.0.2.5'
    const { records } = read(text)
    expect(records.map(({ name }) => name)).toEqual(['a.home.example', 'c.home.example', 'e.home.example'])
    expect(problemsOf(text)).toEqual([
      '2:5: expected an IPv4 address, got "192.0.2" (such as `A 192.168.1.10`)',
      '4:7: this quote is not closed on its line (write " at its end, \\" inside)',
    ])
  })

  it('is bounded', () => {
    const text = Array.from({ length: 10_050 }, (_, index) => `h${index} A 192.0.2.1`).join('\n')
    const { records, problems } = read(text)
    expect(records).toHaveLength(10_000)
    expect(problems).toEqual([expect.objectContaining({ line: 10_001, problem: 'more than 10000 records' })])
    expect(read('x\n'.repeat(1_000)).problems).toHaveLength(100)
  })
})

describe('what is wrong is said with its place and what to write', () => {
  it.each([
    [
      'A 192.168.1.1',
      '1:3: "192.168.1.1" is no record type (write NAME [TTL] TYPE DATA, such as nas 300 A 192.168.1.10)',
    ],
    ['nas', '1:1: the type is missing after this (write NAME [TTL] TYPE DATA, such as nas 300 A 192.168.1.10)'],
    ['nas A', '1:5: an address is missing after this (such as `A 192.168.1.10`)'],
    ['nas A 1.2.3.4 5', '1:15: "5" is one value too many (such as `A 192.168.1.10`)'],
    ['nas A fd00::1', '1:7: expected an IPv4 address, got "fd00::1" (such as `A 192.168.1.10`)'],
    ['nas CH A 192.0.2.1', '1:5: the class CH is not served (leave it away, or write IN)'],
    ['nas MX mail 10', '1:8: expected a number from 0 to 65535, got "mail" (such as `MX 10 mail`)'],
    ['nas SRV 0 0 65536 x', '1:13: expected a number from 0 to 65535, got "65536" (such as `SRV 0 0 80 nas`)'],
    [
      'nas.other.example. A 192.0.2.1',
      '1:1: nas.other.example is not inside the zone home.example (leave the final dot away to mean a name inside it)',
    ],
    ['a..b A 192.0.2.1', '1:1: "a..b" is no domain name (labels have 1 to 63 octets, a name 255)'],
    ['grün A 192.0.2.1', '1:1: "grün" is no domain name (write it as an A-label (xn--…))'],
    [
      ' A 192.0.2.1',
      '1:2: a record without a name before it (write NAME [TTL] TYPE DATA, such as nas 300 A 192.168.1.10)',
    ],
    ['x OPT \\# 0', '1:3: OPT is no type of data'],
    ['x ANY \\# 0', '1:3: ANY is no type of data'],
    ['x LOC 52 22 N', '1:7: there is no text form of LOC here (write it as \\# LENGTH HEX)'],
    ['x A \\# 3 c00002', '1:3: these octets are no A data'],
    ['x CNAME \\# 2 c00c', '1:3: these octets are no CNAME data'],
    ['x A \\# 4 c00002', '1:8: the length says 4, there are 3 octets'],
    ['x TYPE9999 \\# 1 zz', '1:17: expected pairs of hexadecimal digits, got "zz"'],
    ['x TXT "\\999"', '1:7: \\999 is no octet (they end at \\255)'],
    [`x TXT ${'a'.repeat(256)}`, '1:7: the text is longer than 255 octets (write it as several "..." "...")'],
    ['x TXT ( a', '1:7: this "(" never ends (write ")" after the last value)'],
    ['x TXT a )', '1:9: a ")" without "(" (quote it, or write \\) when it is meant)'],
    ['x TXT a\\', '1:8: nothing follows this "\\"'],
    ['$INCLUDE other', '1:1: $INCLUDE is not read here (write the records themselves)'],
    ['$TTL soon', '1:6: "soon" is no time (seconds, or a time such as 1h30m)'],
    ['x HTTPS 1 . alpn=h2 alpn=h3', '1:21: alpn is there twice'],
    [
      'x HTTPS 1 . alpm=h2',
      '1:13: "alpm" is no parameter (mandatory, alpn, no-default-alpn, port, ipv4hint, ech, ipv6hint, dohpath, ohttp, or key0 to key65534)',
    ],
    ['x HTTPS 1 . port=http', '1:13: "http" is no port'],
    ['x HTTPS 1 . ipv4hint=fd00::1', '1:13: "fd00::1" is no IPv4 address'],
    ['x HTTPS 1 . mandatory=port', '1:13: SVCB: port is mandatory but absent'],
    ['x HTTPS one .', '1:9: expected a priority from 0 to 65535, got "one" (such as `HTTPS 1 . alpn="h2,h3"`)'],
  ])('%s', (text, expected) => {
    expect(problemsOf(text)).toEqual([expected])
  })
})

describe('any text', () => {
  it('is read to its end without an exception, and problems lie inside it', () => {
    const samples = [
      '$TTL 1h\n@ SOA a b 1 2 3 4 5\n',
      'x TXT ( "a\\"b" ; c\n d )\n',
      'y HTTPS 1 . alpn="h2,h3" key7=\\065\n',
      'z TYPE9 \\# 2 abcd',
    ]
    const next = randomNumbers(7)
    const alphabet = ' \t\n\r"\\;()$@.=,#*0123456789aAxIN\u00fc\u{1f600}'
    for (let run = 0; run < 20_000; run++) {
      const characters = Array.from(samples.slice(0, 1 + (next() % 4)).join(''))
      for (let changes = 1 + (next() % 8); changes > 0; changes--) {
        const at = next() % characters.length
        const kind = next() % 3
        if (kind === 0) characters[at] = alphabet[next() % alphabet.length]!
        else if (kind === 1) characters.splice(at, 1 + (next() % 5))
        else characters.splice(at, 0, alphabet[next() % alphabet.length]!)
        if (characters.length === 0) characters.push('x')
      }
      const text = characters.join('')
      const lineCount = text.split('\n').length
      for (const { line, column } of read(text).problems) {
        if (line < 1 || line > lineCount || column < 1 || column > text.length + 1)
          throw new Error(JSON.stringify(text))
      }
    }
    expect(read('').records).toEqual([])
  })

  it('of ours is read back as the same octets', () => {
    const strings = fc.array(fc.uint8Array({ maxLength: 255 }), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(strings, (values) => {
        const { records } = read(`x TXT ${rdataText(TYPE.TXT, { strings: values })}`)
        const data = RECORD_CODECS.get(TYPE.TXT)!.read(records[0]!.rdata, 0, records[0]!.rdata.length)
        expect(data).toEqual({ strings: values.map((value) => Uint8Array.from(value)) })
      }),
      { seed: 3, numRuns: 300 },
    )
  })
})
