import { type ChildProcess, execFile, spawn } from 'node:child_process'

const READY_MS_MAX = 30_000
const STOP_MS_MAX = 10_000
const POLL_MS = 100
const COMMAND_MS_MAX = 60_000

/** A real program under test, with everything it printed. Stopped by its own pid. */
export interface Daemon {
  readonly pid: number
  output(): string
  /** Waits until `ready` no longer throws; fails at once when the program ends. */
  until<T>(ready: () => Promise<T>, withinMs?: number): Promise<T>
  stop(signal?: NodeJS.Signals): Promise<void>
  /** Its exit code; -1 when a signal ended it. */
  readonly ended: Promise<number>
}

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  readonly uid?: number
  readonly gid?: number
}

const running = new Set<Daemon>()
const outputs: (() => string)[] = []

export function startDaemon(command: string, args: readonly string[], options: RunOptions = {}): Daemon {
  const env = { ...process.env, ...options.env }
  const child: ChildProcess = spawn(command, args, { ...options, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let over = false
  const ended = new Promise<number>((resolve) => {
    child.once('error', (error) => {
      over = true
      output += String(error)
      resolve(-1)
    })
    child.once('exit', (code) => {
      over = true
      resolve(code ?? -1)
    })
  })
  for (const stream of [child.stdout, child.stderr])
    stream!.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  const daemon: Daemon = {
    pid: child.pid ?? -1,
    output: () => output,
    ended,
    until: (ready, withinMs = READY_MS_MAX) =>
      eventually(
        () => {
          if (over) throw new Ended(`${command} ended: ${output}`)
          return ready()
        },
        withinMs,
        () => output,
      ),
    async stop(signal = 'SIGTERM') {
      running.delete(daemon)
      if (over) return
      child.kill(signal)
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await ended
      clearTimeout(killer)
    },
  }
  running.add(daemon)
  outputs.push(daemon.output)
  return daemon
}

/** What all daemons of this test file have printed so far. */
export function everythingSaid(): string {
  return outputs.map((output) => output()).join('')
}

/** For `afterAll`. */
export async function stopAllDaemons(): Promise<void> {
  await Promise.all([...running].map((daemon) => daemon.stop()))
}

class Ended extends Error {}

/** Tries until `look` no longer throws, and returns what it returned. */
export async function eventually<T>(
  look: () => T | Promise<T>,
  withinMs = READY_MS_MAX,
  context = (): string => '',
): Promise<T> {
  const untilMs = performance.now() + withinMs
  for (;;) {
    try {
      return await look()
    } catch (error) {
      if (error instanceof Ended || performance.now() > untilMs) {
        if (error instanceof Error) error.message += `\n(waited ${withinMs} ms)\n${context()}`
        throw error
      }
    }
    await pause(POLL_MS)
  }
}

export interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end; never throws for its exit code. */
export function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const bounds = { timeout: COMMAND_MS_MAX, maxBuffer: 1 << 24 }
  return new Promise((resolve) => {
    const env = { ...process.env, ...options.env }
    const child = execFile(command, args, { ...options, ...bounds, env }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1
      resolve({ code, stdout, stderr: error !== null && stderr === '' ? error.message : stderr })
    })
    child.stdin?.end()
  })
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
