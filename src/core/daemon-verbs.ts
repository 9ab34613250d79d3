import { type Clock, systemClock } from './clock.ts'
import { type Command, type CommandOption, configArguments, EXIT, SET_OPTION } from './command.ts'
import { createLog, type Log, type LogLevel } from './log.ts'
import type { Override } from './settings.ts'

/** A program that reads a settings file and then runs until it is told to stop. */
export interface DaemonProgram<C extends { readonly log: LogLevel }> {
  /** Read when no --config is given. */
  readonly configFile: string
  load(file: string, overrides: readonly Override[]): Promise<C>
  run(config: C, context: DaemonContext<C>): Promise<void>
  /** Lines for `check`: what these settings need that is set elsewhere. */
  advise?(config: C): readonly string[]
}

export interface DaemonContext<C> {
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  /** `reload` is called at each SIGHUP with what reads the settings again. */
  readonly onReload: (reload: (load: () => Promise<C>) => void) => void
}

export function configOption(configFile: string): CommandOption {
  return { type: 'string', value: 'FILE', help: `settings file (default ${configFile})` }
}

/** `run` and `check`, the same for both programs. */
export function daemonVerbs<C extends { readonly log: LogLevel }>(
  program: DaemonProgram<C>,
): Readonly<Record<'run' | 'check', Command>> {
  const { configFile } = program
  return {
    run: {
      usage: '[--config FILE] [--set PATH=VALUE]',
      summary: 'run in the foreground until SIGINT or SIGTERM; SIGHUP reads the settings again',
      options: { config: configOption(configFile), set: SET_OPTION },
      async run(input) {
        const { file, overrides } = configArguments(input, configFile)
        const load = (): Promise<C> => program.load(file, overrides)
        const config = await load()
        const onReload: DaemonContext<C>['onReload'] = (reload) => input.onHangup(() => reload(load))
        await program.run(config, { clock: systemClock, log: createLog(config.log), signal: input.signal, onReload })
        return EXIT.OK
      },
    },
    check: {
      usage: 'FILE',
      summary: 'list every problem of a settings file',
      options: { set: SET_OPTION },
      words: { min: 1, max: 1 },
      async run(input) {
        const file = input.words[0]!
        const config = await program.load(file, configArguments(input, file).overrides)
        input.print([`${file} is good`, ...(program.advise?.(config) ?? [])].join('\n'))
        return EXIT.OK
      },
    },
  }
}
