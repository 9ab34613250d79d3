import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type LineKind, readLine } from '../../../../src/router/resolve/block/read-line.ts'

interface Read {
  readonly kind: LineKind
  /** `=name` for a rule about the name alone, `@name` for an exception. */
  readonly rules: readonly string[]
}

/** Reads the line out of the middle of a buffer, so that what is around it would be noticed. */
function read(line: string | Buffer): Read {
  const octets = Buffer.concat([Buffer.from('x.'), Buffer.from(line as string), Buffer.from('.x')])
  const rules: string[] = []
  const kind = readLine(octets, 2, octets.length - 2, ({ nameStart, nameEnd, isExact, isException }) => {
    rules.push(`${isException ? '@' : ''}${isExact ? '=' : ''}${octets.toString('latin1', nameStart, nameEnd)}`)
  })
  return { kind, rules }
}

describe('rules', () => {
  it.each([
    ['ads.example', ['ads.example']],
    ['  ads.example\t', ['ads.example']],
    ['ads.example\r', ['ads.example']],
    ['ads.example.', ['ads.example']],
    ['ads.example # why', ['ads.example']],
    ['Ads.EXAMPLE', ['Ads.EXAMPLE']],
    ['*.ads.example', ['ads.example']],
    ['.ads.example', ['ads.example']],
    ['_dmarc.ads-1.example', ['_dmarc.ads-1.example']],
    ['xn--bcher-kva.example', ['xn--bcher-kva.example']],
    ['zip', ['zip']],
    ['||ads.example^', ['ads.example']],
    ['||*.ads.example^', ['ads.example']],
    ['||ads.example^|', ['ads.example']],
    ['||ads.example^$important', ['ads.example']],
    ['@@||good.example^', ['@good.example']],
    ['@@||good.example^$important', ['@good.example']],
    ['0.0.0.0 ads.example', ['=ads.example']],
    ['127.0.0.1\tads.example  \r', ['=ads.example']],
    [':: ads.example', ['=ads.example']],
    ['0.0.0.0 a.example b.example # two', ['=a.example', '=b.example']],
    ['0.0.0.0 localhost ads.example', ['=ads.example']],
    ['0.0.0.0 bad_^ ads.example', ['=ads.example']],
  ])('%j', (line, rules) => expect(read(line)).toEqual({ kind: 'rule', rules }))
})

describe('lines that are no rules', () => {
  it.each([
    ['', 'comment'],
    [' \t\r', 'comment'],
    ['# text', 'comment'],
    ['! text', 'comment'],
    ['##.banner', 'comment'],
    ['[Adblock Plus 2.0]', 'comment'],
    ['127.0.0.1 localhost', 'comment'],
    ['255.255.255.255 broadcasthost', 'comment'],
    ['::1 ip6-localhost ip6-loopback', 'comment'],
    ['192.0.2.1 nas.example', 'unsupported'],
    ['2001:db8::1 nas.example', 'unsupported'],
    ['||ads.example', 'unsupported'],
    ['||ads.example^$third-party', 'unsupported'],
    ['||ads.example^$importantly', 'unsupported'],
    ['||ads.example^path', 'unsupported'],
    ['||ads.*^', 'unsupported'],
    ['||192.0.2.1^', 'unsupported'],
    ['||^', 'unsupported'],
    ['|https://ads.example|', 'unsupported'],
    ['@@ads.example', 'unsupported'],
    ['@ads.example', 'unsupported'],
    ['example.com##.ad', 'unsupported'],
    ['example.com,example.net#@#div > .ad', 'unsupported'],
    ['/ads[0-9]/', 'unsupported'],
    ['-banner-$image', 'unsupported'],
    ['ads.*.example', 'unsupported'],
    ['address=/ads.example/', 'unsupported'],
    ['<script>x=1</script>', 'malformed'],
    ['var x = 1;', 'malformed'],
    ['ads..example', 'malformed'],
    ['192.0.2.1', 'malformed'],
    ['0.0.0.0 0.0.0.0', 'malformed'],
    ['<!DOCTYPE html>', 'malformed'],
    ['two words', 'malformed'],
    ['.', 'malformed'],
    ['*.', 'unsupported'],
    [`${'a'.repeat(64)}.example`, 'malformed'],
    [`${'abcdefg.'.repeat(32)}example`, 'malformed'],
    ['bücher.example', 'international'],
    ['||bücher.example^', 'international'],
    ['0.0.0.0 bücher.example', 'international'],
  ] as const)('%j is %s', (line, kind) => expect(read(line)).toEqual({ kind, rules: [] }))
})

describe('any line', () => {
  const NAME = /^(?=.{1,253}$)(?!.*\.\d+$)(?!\d+$)[\w-]{1,63}(\.[\w-]{1,63})*$/
  const pieces = fc.constantFrom(
    '||',
    '@@',
    '^',
    '$important',
    '0.0.0.0',
    '127.0.0.1 ',
    ':: ',
    '.',
    '*',
    '#',
    '!',
    ' ',
    '\t',
    '\r',
    'ads',
    'example',
    '1',
    '-',
    '/',
    '|',
    '\u00fc',
    '\0',
  )

  it('gives names only, inside itself, and never throws', () => {
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        const line = parts.join('')
        const { kind, rules } = read(line)
        for (const rule of rules) {
          const name = rule.replace(/^@?=?/, '')
          expect(name).toMatch(NAME)
          expect(line).toContain(name)
        }
        expect(kind === 'rule').toBe(rules.length > 0)
      }),
      { seed: 3, numRuns: 20_000 },
    )
  })

  it.each(['a@#', '..0.0.0\x029#', '/#'])('%j at the very end of its buffer, found by the fuzzer', (line) => {
    const octets = Buffer.from(line)
    expect(['malformed', 'unsupported']).toContain(readLine(octets, 0, octets.length, () => {}))
  })

  it('random octets too', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (octets) => {
        const { kind, rules } = read(Buffer.from(octets))
        expect(kind === 'rule').toBe(rules.length > 0)
      }),
      { seed: 4, numRuns: 5000 },
    )
  })
})
