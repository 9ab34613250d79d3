import { type Command, runProgram } from '../core/command.ts'

/** Second signal: whoever sends it has waited long enough. */
const EXIT_BY_SIGNAL = 130

/** argv, signals, exit code. */
export async function main(
  program: { readonly name: string; readonly about: string },
  commands: Readonly<Record<string, Command>>,
): Promise<void> {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(EXIT_BY_SIGNAL)
      stop.abort(new Error(`stopped by ${signal}`))
    })
  // A reader that goes away (`| head`) is no failure.
  process.stdout.on('error', () => process.exit())
  process.exitCode = await runProgram(
    { ...program, version: process.env.HEARTH_VERSION ?? 'development' },
    commands,
    process.argv.slice(2),
    {
      print: (text) => void process.stdout.write(`${text}\n`),
      complain: (text) => void process.stderr.write(`${text}\n`),
      signal: stop.signal,
      onHangup: (listener) => void process.on('SIGHUP', listener),
    },
  )
}
