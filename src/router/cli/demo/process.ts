import { type ChildProcess, spawn } from 'node:child_process'
import { openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { Fault } from '../../../core/fault.ts'

const LOG_TAIL_BYTES = 2_000
const STOP_MS_MAX = 5_000

/** A daemon of the demo as a process of its own, exactly as a user would start it; its log goes to a file. */
export interface Daemon {
  /** Waits for `ready`, and not a moment longer when the process has ended. */
  until<T>(ready: () => Promise<T | undefined>, withinMs: number): Promise<T>
  stop(): Promise<void>
  readonly ended: Promise<string>
}

export function startDaemon(name: string, script: string, args: readonly string[], logFile: string): Daemon {
  const log = openSync(logFile, 'a', 0o600)
  const child: ChildProcess = spawn(process.execPath, [script, ...args], { stdio: ['ignore', log, log] })
  let over: string | undefined
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => {
      over = `${name} ended (${signal ?? `exit code ${code}`})`
      resolve(over)
    })
  })
  const tail = async (): Promise<string> => {
    const text = await readFile(logFile, 'utf8').catch(() => '')
    const said = text
      .slice(-LOG_TAIL_BYTES)
      .trim()
      .split('\n')
      .filter((line) => !line.startsWith('{'))
    return said.length > 0 ? said.join('\n') : `its log is ${logFile}`
  }
  return {
    ended,
    async until(ready, withinMs) {
      const untilMs = performance.now() + withinMs
      while (performance.now() < untilMs) {
        if (over !== undefined) throw new Fault('DEMO_FAILED', `${over}: ${await tail()}`)
        const value = await ready().catch(() => undefined)
        if (value !== undefined) return value
        await new Promise((resolve) => setTimeout(resolve, POLL_MS))
      }
      throw new Fault('DEMO_FAILED', `${name} was not ready in ${Math.round(withinMs / 1000)} s: ${await tail()}`)
    },
    async stop() {
      if (over !== undefined) return
      child.kill('SIGTERM')
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await ended
      clearTimeout(killer)
    },
  }
}
const POLL_MS = 50
