// Starts processes on a core, and stops every one of them by its pid, also on Ctrl-C.
import { spawn } from 'node:child_process'
import { accessSync, closeSync, constants, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const STOP_MS = 3_000
const OUTPUT_MS_MAX = 60_000
/** Where Debian puts servers; not in the PATH of ordinary users. */
const SERVER_FOLDERS = ['/usr/sbin', '/usr/local/sbin']

/** Everything a run writes. */
export const folder = mkdtempSync(join(tmpdir(), 'hearth-bench-'))

const running = new Set()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})
process.on('SIGINT', () => stopAll(130))
process.on('SIGTERM', () => stopAll(143))

/** Full path of a program, or undefined. */
export function find(program) {
  const folders = [...(process.env.PATH ?? '').split(':'), ...SERVER_FOLDERS]
  return folders.map((at) => join(at, program)).find(isExecutable)
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/**
 * Starts a program; with `core`, on that core (taskset becomes the program, so the pid is the program's own).
 * @param {string[]} command
 * @param {{ core?: number, stdio?: import('node:child_process').StdioOptions, log?: string, environment?: Record<string, string> }} [options]
 */
export function start(command, { core, stdio, log, environment } = {}) {
  const taskset = core === undefined ? undefined : find('taskset')
  const [file, ...args] = taskset ? [taskset, '-c', String(core), ...command] : command
  const output = log ? openSync(join(folder, log), 'a') : 'ignore'
  const env = { ...process.env, ...environment }
  const child = spawn(file, args, { stdio: stdio ?? ['ignore', output, output], cwd: folder, env })
  if (output !== 'ignore') closeSync(output)
  child.on('error', () => running.delete(child))
  child.on('exit', () => running.delete(child))
  running.add(child)
  return child
}

/** The last two lines of a process that was started with `log`. */
export function lastLines(log) {
  return readFileSync(join(folder, log), 'utf8').trim().split('\n').slice(-2).join(' ')
}

/** Asks the process to end, and makes it. */
export async function stop(child) {
  if (!running.has(child)) return
  const gone = new Promise((resolve) => void child.once('exit', resolve))
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
  await gone
  clearTimeout(timer)
}

async function stopAll(code) {
  await Promise.all([...running].map(stop))
  process.exit(code)
}

/** Runs a program to its end and gives what it printed. Throws when it fails or takes longer than `msMax`. */
export async function outputOf(command, msMax = OUTPUT_MS_MAX) {
  const child = start(command, { stdio: ['ignore', 'pipe', 'pipe'] })
  const timer = setTimeout(() => void stop(child), msMax)
  const texts = ['', '']
  for (const [index, stream] of [child.stdout, child.stderr].entries())
    stream.setEncoding('utf8').on('data', (text) => {
      texts[index] += text
    })
  const code = await new Promise((resolve, reject) => void child.once('error', reject).once('close', resolve))
  clearTimeout(timer)
  if (code !== 0) throw new Error(texts[1].trim() || `${command[0]} ended with ${code ?? child.signalCode}`)
  return texts[0]
}

export async function freePorts(count) {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(listeners.map((server) => new Promise((resolve) => void server.once('listening', resolve))))
  const ports = listeners.map((server) => server.address().port)
  await Promise.all(listeners.map((server) => new Promise((resolve) => void server.close(resolve))))
  return ports
}
