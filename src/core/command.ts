import { parseArgs } from 'node:util'
import { Fault, reasonOf } from './fault.ts'

/** What the words of a command line were turned into. */
export interface Input {
  readonly values: Readonly<Record<string, string | boolean | readonly string[] | undefined>>
  readonly words: readonly string[]
  readonly print: (text: string) => void
  /** Aborted by SIGINT or SIGTERM. */
  readonly signal: AbortSignal
  /** Whoever listens is called at each SIGHUP; without a listener SIGHUP ends the program. */
  readonly onHangup: (listener: () => void) => void
}

export interface Command {
  /** After the program's name and the verb: `NAME [TYPE]`. */
  readonly usage: string
  readonly summary: string
  readonly options: Readonly<Record<string, CommandOption>>
  readonly words?: { readonly min: number; readonly max: number }
  /** The exit code; a thrown Fault is printed with its hint. */
  run(input: Input): Promise<number>
}

export interface CommandOption {
  readonly type: 'string' | 'boolean'
  readonly multiple?: boolean
  /** Placeholder of the value in the help: `FILE`. */
  readonly value?: string
  readonly help: string
}

export const EXIT = { OK: 0, FAILED: 1, USAGE: 2, CONFIG: 78 } as const

export const JSON_OPTION: CommandOption = { type: 'boolean', help: 'print JSON' }

/** JSON for programs, with `--json`; text for people. */
export function show(input: Input, value: unknown, text: string): void {
  input.print(input.values.json === true ? JSON.stringify(value, null, 2) : text)
}

/** `--set path.to.key=value`, for verbs that read a settings file. */
export const SET_OPTION: CommandOption = {
  type: 'string',
  multiple: true,
  value: 'PATH=VALUE',
  help: 'overrule one setting; may be repeated',
}

/** The settings file and what overrules it. */
export function configArguments(
  { values }: Input,
  fallback: string,
): {
  readonly file: string
  readonly overrides: readonly { readonly path: readonly string[]; readonly value: string }[]
} {
  const sets = (values.set as readonly string[] | undefined) ?? []
  const overrides = sets.map((set) => {
    const equals = set.indexOf('=')
    if (equals < 1) throw new Fault('USAGE', `--set ${set}: expected PATH=VALUE`)
    return { path: set.slice(0, equals).split('.'), value: set.slice(equals + 1) }
  })
  return { file: (values.config as string | undefined) ?? fallback, overrides }
}

const HELP: CommandOption = { type: 'boolean', help: 'show this help' }

/**
 * Runs the verb the words name (one or two of them: `status`, `device add`). Answers go to standard output, everything
 * else to standard error.
 */
export async function runProgram(
  program: { readonly name: string; readonly version: string; readonly about: string },
  commands: Readonly<Record<string, Command>>,
  argv: readonly string[],
  io: {
    readonly print: (text: string) => void
    readonly complain: (text: string) => void
    readonly signal: AbortSignal
    readonly onHangup: (listener: () => void) => void
  },
): Promise<number> {
  const [first = '--help', second] = argv
  if (first === '--version') {
    io.print(`${program.name} ${program.version}`)
    return EXIT.OK
  }
  if (first === '--help' || first === 'help' || first === '-h') {
    io.print(overview(program, commands))
    return EXIT.OK
  }
  const verb = second !== undefined && Object.hasOwn(commands, `${first} ${second}`) ? `${first} ${second}` : first
  const command = Object.hasOwn(commands, verb) ? commands[verb] : undefined
  if (!command) {
    const related = Object.keys(commands).filter((name) => name.startsWith(`${first} `))
    io.complain(
      related.length > 0
        ? `${program.name} ${first}: say which: ${related.join(', ')}`
        : `${program.name}: there is no verb ${JSON.stringify(first)}. Run \`${program.name} --help\` for the list.`,
    )
    return EXIT.USAGE
  }
  try {
    const { values, positionals } = parseArgs({
      args: argv.slice(verb.split(' ').length),
      options: { ...command.options, help: HELP },
      allowPositionals: true,
    })
    if (values.help === true) {
      io.print(help(program.name, verb, command))
      return EXIT.OK
    }
    const { min, max } = command.words ?? { min: 0, max: 0 }
    if (positionals.length < min || positionals.length > max)
      throw new Fault('USAGE', `usage: ${program.name} ${verb} ${command.usage}`)
    return await command.run({
      values: values as Input['values'],
      words: positionals,
      print: io.print,
      signal: io.signal,
      onHangup: io.onHangup,
    })
  } catch (error) {
    return complain(program.name, verb, error, io.complain)
  }
}

function complain(program: string, verb: string, error: unknown, to: (text: string) => void): number {
  if (error instanceof Fault) {
    const isListed = error.code === 'CONFIG_INVALID'
    to(isListed ? error.message : `${program} ${verb}: ${reasonOf(error)}`)
    if (!isListed || verb !== 'check') to(`hint: ${error.hint} [${error.code}]`)
    if (error.code === 'CONFIG_INVALID' || error.code === 'CONFIG_UNREADABLE') return EXIT.CONFIG
    return error.code === 'USAGE' ? EXIT.USAGE : EXIT.FAILED
  }
  if (error instanceof Error && (error as NodeJS.ErrnoException).code?.startsWith('ERR_PARSE_ARGS')) {
    to(`${program} ${verb}: ${error.message}`)
    to(`hint: run \`${program} ${verb} --help\``)
    return EXIT.USAGE
  }
  to(
    `${program} ${verb}: this is a bug of ours, please report it: ${error instanceof Error ? error.stack : reasonOf(error)}`,
  )
  return EXIT.FAILED
}

function overview(
  program: { readonly name: string; readonly about: string },
  commands: Readonly<Record<string, Command>>,
): string {
  const width = Math.max(...Object.keys(commands).map((verb) => verb.length))
  const rows = Object.entries(commands).map(([verb, { summary }]) => `  ${verb.padEnd(width)}  ${summary}`)
  return `${program.about}\n\nUsage: ${program.name} VERB [OPTION...]\n\n${rows.join('\n')}\n\nRun \`${program.name} VERB --help\` for the options of a verb.`
}

function help(program: string, verb: string, command: Command): string {
  const options = Object.entries({ ...command.options, help: HELP })
  const heads = options.map(([name, { value }]) => `--${name}${value ? ` ${value}` : ''}`)
  const width = Math.max(...heads.map((head) => head.length))
  const rows = options.map(([, { help: text }], index) => `  ${heads[index]!.padEnd(width)}  ${text}`)
  return `${command.summary}\n\nUsage: ${program} ${verb} ${command.usage}`.trimEnd() + `\n\n${rows.join('\n')}`
}
