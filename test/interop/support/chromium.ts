import { spawn } from 'node:child_process'
import { createHash, X509Certificate } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Writable } from 'node:stream'
import { eventually } from './daemon.ts'

const COMMAND = 'chromium'
const STOP_MS_MAX = 5_000

/** A page in a real browser, driven over the DevTools protocol. */
export interface Browser {
  open(url: string): Promise<void>
  /** The value of an expression in the page, which must survive JSON. */
  evaluate<T>(expression: string): Promise<T>
  /** Waits until the expression is true. */
  until(expression: string): Promise<void>
  resize(width: number, height: number, scheme?: 'light' | 'dark'): Promise<void>
  screenshot(file: string): Promise<void>
  /** What the page complained about: errors of scripts, and of the content security policy. */
  readonly complaints: readonly string[]
  close(): Promise<void>
}

/** `certificate` (PEM): the one server that is believed, by its key; all others are verified as usual. */
export async function openBrowser(certificate: string): Promise<Browser> {
  const spki = new X509Certificate(certificate).publicKey.export({ type: 'spki', format: 'der' })
  const pin = createHash('sha256').update(spki).digest('base64')
  const profile = await mkdtemp(join(tmpdir(), 'hearth-chromium-'))
  const child = spawn(
    COMMAND,
    [
      '--headless=new',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--remote-debugging-pipe',
      `--user-data-dir=${profile}`,
      `--ignore-certificate-errors-spki-list=${pin}`,
      'about:blank',
    ],
    // The protocol is spoken over descriptors 3 and 4, a NUL after each message.
    { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'], env: { ...process.env, HOME: profile } },
  )
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve())
    child.once('error', () => resolve())
  })
  const complaints: string[] = []
  const waiting = new Map<number, (message: Message) => void>()
  const [output, input] = [child.stdio[3] as Writable, child.stdio[4]!]
  let text = ''
  input.on('data', (chunk: Buffer) => {
    const parts = (text + chunk.toString()).split('\0')
    text = parts.pop()!
    for (const message of parts.map((part) => JSON.parse(part) as Message)) {
      if (message.id !== undefined) waiting.get(message.id)?.(message)
      if (message.method === 'Runtime.exceptionThrown' || message.method === 'Log.entryAdded')
        complaints.push(JSON.stringify(message.params))
    }
  })
  let lastId = 0
  let sessionId: string | undefined
  const call = async <T>(method: string, params: object = {}): Promise<T> => {
    const id = ++lastId
    const answer = new Promise<Message>((resolve) => waiting.set(id, resolve))
    output.write(`${JSON.stringify({ id, method, params, ...(sessionId ? { sessionId } : {}) })}\0`)
    const { result, error } = await answer
    waiting.delete(id)
    if (error) throw new Error(`${method}: ${error.message}`)
    return result as T
  }
  const { targetInfos } = await call<{ targetInfos: { targetId: string; type: string }[] }>('Target.getTargets')
  const { targetId } = targetInfos.find(({ type }) => type === 'page')!
  const attached = await call<{ sessionId: string }>('Target.attachToTarget', { targetId, flatten: true })
  sessionId = attached.sessionId
  for (const domain of ['Page', 'Runtime', 'Log']) await call(`${domain}.enable`)

  const evaluate = async <T>(expression: string): Promise<T> => {
    const answer = await call<{ result: { value: T }; exceptionDetails?: object }>('Runtime.evaluate', {
      expression,
      returnByValue: true,
      awaitPromise: true,
    })
    if (answer.exceptionDetails) throw new Error(JSON.stringify(answer.exceptionDetails))
    return answer.result.value
  }
  return {
    complaints,
    evaluate,
    async close() {
      child.kill()
      const killer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await ended
      clearTimeout(killer)
      // Its helpers write on for a moment after it has ended.
      await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 })
    },
    async open(url) {
      const { errorText } = await call<{ errorText?: string }>('Page.navigate', { url })
      if (errorText !== undefined) throw new Error(`${url}: ${errorText}`)
      await eventually(async () => {
        if ((await evaluate('document.readyState')) !== 'complete') throw new Error('still loading')
      })
    },
    until: (expression) =>
      eventually(async () => {
        if (!(await evaluate<boolean>(expression))) throw new Error(`not true: ${expression}`)
      }),
    async resize(width, height, scheme = 'light') {
      await call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 })
      await call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
    },
    async screenshot(file) {
      const { data } = await call<{ data: string }>('Page.captureScreenshot', { captureBeyondViewport: true })
      await writeFile(file, Buffer.from(data, 'base64'))
    },
  }
}

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: object
  readonly result?: unknown
  readonly error?: { readonly message: string }
}
