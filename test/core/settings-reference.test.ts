import { expect, it } from 'vitest'
import {
  byteSize,
  choice,
  domainName,
  duration,
  filePath,
  flag,
  hostPort,
  httpsUrl,
  integer,
  text,
} from '../../src/core/fields.ts'
import { list, optional, parseSettings, section } from '../../src/core/settings.ts'
import { describeSettings, settingsReference } from '../../src/core/settings-reference.ts'

const SCHEMA = section('All there is.', {
  name: domainName('How it is called.'),
  cache: section('What it remembers.', {
    size: byteSize('How much.', { default: '16MiB', max: '1GiB' }),
    stale: duration('How long.', { default: '1d' }),
  }),
  listen: list('Where it answers.', hostPort('One address.'), { max: 4, default: ['127.0.0.1:5453', '[::1]:5453'] }),
  upstreams: list(
    'Who is asked.',
    section('One of them.', { url: httpsUrl('Where.'), share: integer('How often.', { min: 1, max: 9, default: 1 }) }),
    { max: 3 },
  ),
  mode: choice('Care | speed.', ['strict', 'lax'], { default: 'strict' }),
  key: optional(filePath('The key.')),
  loud: flag('Says more.', { default: false }),
  motto: optional(text('Shown to people.', { expected: 'one line', max: 80 })),
})

it('makes a row of every key', () => {
  expect(describeSettings(SCHEMA).map(({ key, type, default: preset }) => [key, type, preset])).toEqual([
    ['name', 'domain name', 'required'],
    ['cache', 'section', 'none'],
    ['cache.size', 'size up to 1GiB', '16MiB'],
    ['cache.stale', 'duration', '1d'],
    ['listen', 'list of address:port, at most 4', '[127.0.0.1:5453, [::1]:5453]'],
    ['upstreams', 'list of section, at most 3', 'required'],
    ['upstreams.N.url', 'https URL', 'required'],
    ['upstreams.N.share', 'whole number from 1 to 9', '1'],
    ['mode', 'strict | lax', 'strict'],
    ['key', 'path', 'none'],
    ['loud', 'true or false', 'false'],
    ['motto', 'one line', 'none'],
  ])
})

it('writes them as a Markdown table', () => {
  const lines = settingsReference('Settings of the test', SCHEMA).split('\n')
  expect(lines.slice(0, 7)).toEqual([
    '# Settings of the test',
    '',
    'All there is.',
    '',
    '| Key | Type | Default | Meaning |',
    '|---|---|---|---|',
    '| `name` | domain name | required | How it is called. |',
  ])
  expect(lines).toContain('| `mode` | strict \\| lax | `strict` | Care \\| speed. |')
})

it('has defaults that the fields themselves accept', () => {
  expect(parseSettings(SCHEMA, 'name: a.example\nupstreams: []', 'main.yaml')).toEqual({
    name: 'a.example',
    cache: { size: 16_777_216, stale: 86_400_000 },
    listen: [
      { host: '127.0.0.1', port: 5453 },
      { host: '::1', port: 5453 },
    ],
    upstreams: [],
    mode: 'strict',
    loud: false,
  })
})

it.each([
  ['a\nb: 1', 'motto: 5', 'main.yaml:1:8 motto: expected one line, got 5 (put it in quotes)'],
  ['too long', `motto: ${'x'.repeat(81)}`, 'main.yaml:1:8 motto: is longer than 80 characters'],
  ['empty', 'motto: ""', 'main.yaml:1:8 motto: expected one line, got ""'],
])('refuses text: %s', (_what, line, expected) => {
  expect(() =>
    parseSettings(section('', { motto: optional(text('', { expected: 'one line', max: 80 })) }), line, 'main.yaml'),
  ).toThrow(expected)
})

it('does not show a secret', () => {
  const schema = section('', { token: text('', { secret: true, pattern: /^[a-f]{8}$/, expected: 'eight letters' }) })
  expect(() => parseSettings(schema, 'token: hunter2', 'main.yaml')).toThrow(
    /: expected eight letters, got something else$/,
  )
})
