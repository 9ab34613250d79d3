import { describe, expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import { choice, domainName, duration, flag, hostPort, integer, text } from '../../src/core/fields.ts'
import {
  checked,
  type Field,
  list,
  type Override,
  optional,
  type Problem,
  parseSettings,
  section,
} from '../../src/core/settings.ts'

const SCHEMA = section('A small program.', {
  name: domainName('How it is called.'),
  listen: section('Where it answers.', {
    dns: list('Addresses.', hostPort('One address.', { defaultPort: 53 }), { max: 4, default: ['127.0.0.1:5453'] }),
    timeout: duration('Patience.', { default: '2s', min: '100ms', max: '1m' }),
  }),
  upstreams: optional(
    list(
      'Who is asked.',
      section('One of them.', { url: text('Its URL.'), weight: integer('Share.', { min: 1, max: 9, default: 1 }) }),
      { max: 3 },
    ),
  ),
  mode: choice('How careful it is.', ['strict', 'lax'], { default: 'strict' }),
  loud: optional(flag('Says more.')),
})

function faultOf(input: string, overrides: readonly Override[] = [], schema: Field<unknown> = SCHEMA): Fault {
  try {
    parseSettings(schema, input, 'main.yaml', overrides)
  } catch (error) {
    if (error instanceof Fault) return error
    throw error
  }
  throw new Error('the settings were accepted')
}

const problemsOf = (...args: Parameters<typeof faultOf>): readonly Problem[] =>
  faultOf(...args).facts['problems'] as readonly Problem[]

const set = (path: string, value: string): Override => ({ path: path.split('.'), value })

describe('good files', () => {
  it('gives typed values and defaults', () => {
    expect(parseSettings(SCHEMA, 'name: CPE.Example.NET.\nlisten: { timeout: 1m }\n', 'main.yaml')).toEqual({
      name: 'cpe.example.net',
      listen: { dns: [{ host: '127.0.0.1', port: 5453 }], timeout: 60_000 },
      mode: 'strict',
    })
  })

  it('takes a section with nothing in it for an empty one', () => {
    expect(parseSettings(SCHEMA, 'name: a.example\nlisten:\n', 'main.yaml').listen.timeout).toBe(2000)
  })

  it('freezes the whole tree', () => {
    const settings = parseSettings(SCHEMA, 'name: a.example', 'main.yaml')
    expect(
      Object.isFrozen(settings) && Object.isFrozen(settings.listen.dns) && Object.isFrozen(settings.listen.dns[0]),
    ).toBe(true)
  })

  it('follows aliases', () => {
    const { upstreams } = parseSettings(
      SCHEMA,
      'name: a.example\nupstreams: [&one { url: x, weight: 2 }, *one]',
      'main.yaml',
    )
    expect(upstreams).toEqual([
      { url: 'x', weight: 2 },
      { url: 'x', weight: 2 },
    ])
  })

  it('keeps YAML 1.2 words: no is text', () => {
    expect(faultOf('name: a.example\nloud: no').message).toBe('main.yaml:2:7 loud: expected true or false, got "no"')
  })
})

describe('bad files', () => {
  it('lists every problem at once with line and column', () => {
    const input = `name: a.example
listen:
  dns: [127.0.0.1:99999]
  timeout: 30
upstreams:
  - url: x
  - wieght: 2
mode: stirct
`
    expect(faultOf(input).message.split('\n')).toEqual([
      'main.yaml:3:9 listen.dns.0: 99999 is no port (ports end at 65535)',
      'main.yaml:4:12 listen.timeout: expected a duration such as 30s, got 30 (a whole number and one of ms, s, m, h, d or w, no space)',
      'main.yaml:7:5 upstreams.1.url: is missing',
      'main.yaml:7:5 upstreams.1.wieght: unknown key (did you mean `weight`?)',
      'main.yaml:8:7 mode: expected strict or lax, got "stirct" (did you mean `strict`?)',
    ])
    expect(problemsOf(input)[4]).toEqual({
      line: 8,
      column: 7,
      key: 'mode',
      problem: 'expected strict or lax, got "stirct"',
      hint: 'did you mean `strict`?',
    })
  })

  it.each([
    ['a missing key of the whole file', 'mode: lax', '1:1 name: is missing'],
    ['a missing key of a section', 'name: a.example\nupstreams:\n  - weight: 2', '3:5 upstreams.0.url: is missing'],
    ['an empty file', '', '1:1 name: is missing'],
    ['a key without a value', 'name:\nmode: lax', '1:1 name: has no value (give it one, or remove the line)'],
    ['an unknown key', 'name: a.example\nlitsen: {}', '2:1 litsen: unknown key (did you mean `listen`?)'],
    [
      'a key like none',
      'name: a.example\nzzz: {}',
      '2:1 zzz: unknown key (known here: name, listen, upstreams, mode, loud)',
    ],
    [
      'a list for a section',
      'name: a.example\nlisten: []',
      '2:9 listen: expected a section (lines of "key: value"), got a list',
    ],
    ['text for the file', 'hello', '1:1: expected a section (lines of "key: value"), got "hello"'],
    [
      'text for a list',
      'name: a.example\nlisten: { dns: x }',
      '2:16 listen.dns: expected a list, got "x" (put "- " before each entry, or write [a, b])',
    ],
    [
      'too long a list',
      'name: a.example\nupstreams: [{}, {}, {}, {}]',
      '2:12 upstreams: expected 0 to 3 entries, got 4',
    ],
    [
      'a value out of bounds',
      'name: a.example\nlisten: { timeout: 2m }',
      '2:20 listen.timeout: expected a duration from 100ms up to 1m, got "2m"',
    ],
    ['a key given twice', 'name: a.example\nname: b.example', '2:1: this key is given twice'],
    [
      'two documents',
      'name: a.example\n---\nname: b.example',
      '2:1: a second document begins here; a settings file has one',
    ],
    ['an unknown tag', 'name: !secret a.example', '1:7: Unresolved tag: !secret'],
    ['an alias of nothing', 'name: *who', '1:7: there is no anchor &who before this alias'],
  ])('says what is wrong with %s', (_what, input, expected) => {
    expect(faultOf(input).message).toBe(`main.yaml:${expected}`)
  })

  it('says where the value of an alias is', () => {
    expect(faultOf('name: a.example\nupstreams:\n  - &one { url: 5 }\n  - *one').message.split('\n')[1]).toMatch(
      /^main.yaml:3:17 upstreams.1.url/,
    )
  })

  it('stops a bomb of aliases', () => {
    const levels = Array.from({ length: 9 }, (_, n) => `l${n + 1}: &l${n + 1} [${Array(9).fill(`*l${n}`).join(', ')}]`)
    expect(faultOf(['l0: &l0 [x]', ...levels].join('\n')).message).toContain(
      'aliases (*name) repeat more than 100 blocks',
    )
  })

  it('stops deep nesting and large files', () => {
    expect(faultOf('['.repeat(5000)).code).toBe('CONFIG_INVALID')
    expect(faultOf(`# ${'x'.repeat(1024 * 1024)}`).message).toContain('more than 1048576 characters')
  })

  it('shows the first hundred problems only', () => {
    const fault = faultOf(Array.from({ length: 500 }, (_, n) => `key-${n}: 1`).join('\n'))
    expect(fault.message.split('\n')).toHaveLength(101)
    expect(fault.message).toContain('and 401 more problems')
  })

  it.each([
    '__proto__: { polluted: true }',
    'constructor: { polluted: true }',
    'listen: { __proto__: { timeout: 1s } }',
  ])('takes %s for an unknown key', (line) => {
    expect(faultOf(`name: a.example\n${line}`).message).toContain('unknown key')
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})

describe('overrides', () => {
  const FILE = 'name: a.example\nupstreams: [{ url: x }]\nlisten: { timeout: 1s }'

  it('win over the file, the last one over the others', () => {
    const overrides = [set('listen.timeout', '5s'), set('mode', 'lax'), set('listen.timeout', '7s')]
    expect(parseSettings(SCHEMA, FILE, 'main.yaml', overrides)).toMatchObject({
      listen: { timeout: 7000 },
      mode: 'lax',
    })
  })

  it('reach into lists, append, and make what is not there', () => {
    const overrides = [
      set('upstreams.0.weight', '3'),
      set('upstreams.1', '{ url: y }'),
      set('listen.dns', '["[::1]:853"]'),
    ]
    const settings = parseSettings(SCHEMA, FILE, 'main.yaml', overrides)
    expect(settings.upstreams).toEqual([
      { url: 'x', weight: 3 },
      { url: 'y', weight: 1 },
    ])
    expect(settings.listen.dns).toEqual([{ host: '::1', port: 853 }])
    expect(
      parseSettings(SCHEMA, '', 'main.yaml', [set('name', 'b.example'), set('listen.dns.0', '127.0.0.2')]),
    ).toMatchObject({
      name: 'b.example',
      listen: { dns: [{ host: '127.0.0.2', port: 53 }] },
    })
  })

  it('change one use of an alias only', () => {
    const file = 'name: a.example\nupstreams: [&one { url: x }, *one]'
    expect(
      parseSettings(SCHEMA, file, 'main.yaml', [set('upstreams.1.url', 'y')]).upstreams?.map(({ url }) => url),
    ).toEqual(['x', 'y'])
  })

  it('are named when they are wrong, after the problems of the file', () => {
    expect(faultOf(`${FILE}\nloud: 1`, [set('listen.timeout', '30')]).message.split('\n')).toEqual([
      'main.yaml:4:7 loud: expected true or false, got 1',
      '--set listen.timeout: expected a duration such as 30s, got 30 (a whole number and one of ms, s, m, h, d or w, no space)',
    ])
    expect(faultOf(FILE, [set('lisen.timeout', '3s')]).message).toBe(
      '--set lisen: unknown key (did you mean `listen`?)',
    )
  })

  it.each([
    ['upstreams.7.url', 'y', 'there is no place "7" in a list of 1'],
    ['upstreams.x', 'y', 'there is no place "x" in a list of 1'],
    ['name.x', 'y', '"x" cannot be set inside "a.example"'],
    ['mode', '[', 'the value "[" is no YAML'],
  ])('refuse --set %s=%s', (path, value, expected) => {
    expect(faultOf(FILE, [set(path, value)]).message).toContain(`--set ${path}: ${expected}`)
  })

  it('cannot reach a prototype', () => {
    expect(faultOf(FILE, [set('__proto__.polluted', 'true')]).message).toContain('unknown key')
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false)
  })
})

it('checks rules between fields', () => {
  const schema = checked(
    section('', { low: integer('', { min: 0, max: 9 }), high: integer('', { min: 0, max: 9 }) }),
    ({ low, high }, complain) => {
      if (low > high) complain(['high'], `must not be below low (${low})`, 'swap them')
    },
  )
  expect(parseSettings(schema, 'low: 1\nhigh: 2', 'main.yaml')).toEqual({ low: 1, high: 2 })
  expect(faultOf('low: 3\nhigh: 2', [], schema).message).toBe(
    'main.yaml:2:7 high: must not be below low (3) (swap them)',
  )
})
