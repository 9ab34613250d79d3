import { describe, expect, it } from 'vitest'
import { type Command, configArguments, EXIT, type Input, runProgram, SET_OPTION } from '../../src/core/command.ts'
import { Fault } from '../../src/core/fault.ts'

const PROGRAM = { name: 'hearth', version: '1.2.3', about: 'Hearth: a test.' }

/** What `run` was given by the last call. */
let given: Input | undefined
const verb = (changed: Partial<Command> = {}): Command => ({
  usage: '[--loud]',
  summary: 'does something',
  options: {},
  run: async (input) => {
    given = input
    return EXIT.OK
  },
  ...changed,
})
const failing = (error: unknown): Command => verb({ run: () => Promise.reject(error) })

const COMMANDS: Record<string, Command> = {
  status: verb({
    usage: '[--config FILE] [--json]',
    options: {
      config: { type: 'string', value: 'FILE', help: 'settings file' },
      json: { type: 'boolean', help: 'print JSON' },
      set: SET_OPTION,
    },
  }),
  query: verb({ usage: 'NAME [TYPE]', words: { min: 1, max: 2 } }),
  'device add': verb({ usage: 'NAME', words: { min: 1, max: 1 } }),
  'device list': verb(),
  check: verb({ run: async ({ words }) => (words.length > 0 ? EXIT.FAILED : EXIT.OK), words: { min: 0, max: 1 } }),
  'bad-config': failing(new Fault('CONFIG_INVALID', 'a.yaml:1:2 x: is wrong\na.yaml:3:4 y: is missing')),
  'no-config': failing(new Fault('CONFIG_UNREADABLE', 'cannot read a.yaml', {}, new Error('ENOENT'))),
  'port-used': failing(new Fault('PORT_IN_USE', '127.0.0.1:53 is in use')),
  misused: failing(new Fault('USAGE', 'TYPE9 is not a record type')),
  broken: failing(new TypeError('x is not a function')),
}

async function run(...argv: readonly string[]): Promise<{ code: number; printed: string; complained: string }> {
  const [printed, complained]: [string[], string[]] = [[], []]
  given = undefined
  const code = await runProgram(PROGRAM, COMMANDS, argv, {
    print: (text) => printed.push(text),
    complain: (text) => complained.push(text),
    signal: new AbortController().signal,
    onHangup: () => {},
  })
  return { code, printed: printed.join('\n'), complained: complained.join('\n') }
}

describe('help', () => {
  it.each([[[]], [['--help']], [['-h']], [['help']]] as const)(
    '%j is the list of verbs, on standard output',
    async (argv) => {
      const { code, printed, complained } = await run(...argv)
      expect([code, complained]).toEqual([EXIT.OK, ''])
      expect(printed).toMatch(
        /^Hearth: a test\.\n\nUsage: hearth VERB \[OPTION\.\.\.\]\n\n {2}status {7}does something\n/,
      )
      expect(printed).toContain('\n  device add   does something\n')
    },
  )

  it('of a verb names its options', async () => {
    const { code, printed } = await run('status', '--help')
    expect(code).toBe(EXIT.OK)
    expect(printed).toBe(`does something

Usage: hearth status [--config FILE] [--json]

  --config FILE     settings file
  --json            print JSON
  --set PATH=VALUE  overrule one setting; may be repeated
  --help            show this help`)
    expect(given).toBeUndefined()
  })

  it('is there for verbs of two words, and beside missing words', async () => {
    expect((await run('device', 'add', '--help')).printed).toContain('Usage: hearth device add NAME')
  })

  it('--version names the program and its version', async () => {
    expect(await run('--version')).toEqual({ code: EXIT.OK, printed: 'hearth 1.2.3', complained: '' })
  })
})

describe('a verb', () => {
  it('is given its options and words, and its exit code is the result', async () => {
    expect((await run('status', '--config', 'a.yaml', '--json', '--set', 'a=1', '--set', 'b.c=2')).code).toBe(EXIT.OK)
    expect(given?.values).toMatchObject({ config: 'a.yaml', json: true, set: ['a=1', 'b.c=2'] })
    await run('query', 'example.net', 'AAAA')
    expect(given?.words).toEqual(['example.net', 'AAAA'])
    await run('device', 'add', 'x')
    expect(given?.words).toEqual(['x'])
    expect((await run('check', 'x')).code).toBe(EXIT.FAILED)
  })

  it('that is unknown is exit code 2', async () => {
    for (const word of ['statsu', 'device-add', '--json', 'constructor', 'toString', '__proto__'])
      expect(await run(word)).toEqual({
        code: EXIT.USAGE,
        printed: '',
        complained: `hearth: there is no verb ${JSON.stringify(word)}. Run \`hearth --help\` for the list.`,
      })
  })

  it('of which only the first word is there names the others', async () => {
    expect(await run('device')).toMatchObject({
      code: EXIT.USAGE,
      complained: 'hearth device: say which: device add, device list',
    })
    expect(await run('device', 'lsit')).toMatchObject({
      code: EXIT.USAGE,
      complained: 'hearth device: say which: device add, device list',
    })
  })

  it.each([
    [['status', '--jsn']],
    [['status', '--config']],
    [['status', '--json=yes']],
    [['device', 'list', '--config', 'a.yaml']],
  ])('with a bad option is exit code 2 and points to the help: %j', async (argv) => {
    const { code, printed, complained } = await run(...argv)
    expect([code, printed]).toEqual([EXIT.USAGE, ''])
    expect(complained).toMatch(/\nhint: run `hearth .* --help`$/)
    expect(given).toBeUndefined()
  })

  it.each([[['query']], [['query', 'a', 'b', 'c']], [['status', 'x']], [['device', 'add']]])(
    'with too few or too many words is exit code 2: %j',
    async (argv) => {
      const { code, complained } = await run(...argv)
      expect(code).toBe(EXIT.USAGE)
      expect(complained).toContain('usage: hearth ')
      expect(given).toBeUndefined()
    },
  )
})

describe('a failure', () => {
  it('with a name shows its reason, hint and code: exit code 1', async () => {
    expect(await run('port-used')).toEqual({
      code: EXIT.FAILED,
      printed: '',
      complained:
        'hearth port-used: 127.0.0.1:53 is in use\nhint: stop the program that holds the address, or choose another address under `listen:` [PORT_IN_USE]',
    })
  })

  it('of the settings is exit code 78, every problem on its own line as an editor wants it', async () => {
    const { code, complained } = await run('bad-config')
    expect(code).toBe(EXIT.CONFIG)
    expect(complained.split('\n').slice(0, 2)).toEqual(['a.yaml:1:2 x: is wrong', 'a.yaml:3:4 y: is missing'])
    expect(complained).toContain('[CONFIG_INVALID]')
    expect(await run('no-config')).toMatchObject({
      code: EXIT.CONFIG,
      complained: expect.stringContaining('cannot read a.yaml: ENOENT'),
    })
  })

  it('of usage is exit code 2', async () => {
    expect(await run('misused')).toMatchObject({
      code: EXIT.USAGE,
      complained: expect.stringContaining('TYPE9 is not a record type'),
    })
  })

  it('without a name is a bug of ours and says where: exit code 1', async () => {
    const { code, complained } = await run('broken')
    expect(code).toBe(EXIT.FAILED)
    expect(complained).toContain('hearth broken: this is a bug of ours')
    expect(complained).toContain('TypeError: x is not a function')
    expect(complained).toContain('command.test.ts')
  })
})

describe('configArguments', () => {
  const input = (values: Input['values']): Input => ({
    values,
    words: [],
    print: () => {},
    signal: new AbortController().signal,
    onHangup: () => {},
  })

  it('is the named file or the usual one, and what overrules it', () => {
    expect(configArguments(input({}), 'hearth.yaml')).toEqual({ file: 'hearth.yaml', overrides: [] })
    expect(configArguments(input({ config: 'a.yaml', set: ['a.b=1', 'c=x=y', 'd='] }), 'hearth.yaml')).toEqual({
      file: 'a.yaml',
      overrides: [
        { path: ['a', 'b'], value: '1' },
        { path: ['c'], value: 'x=y' },
        { path: ['d'], value: '' },
      ],
    })
  })

  it.each(['a', '=1', ''])('refuses --set %j', (set) => {
    expect(() => configArguments(input({ set: [set] }), 'x')).toThrow(expect.objectContaining({ code: 'USAGE' }))
  })
})
