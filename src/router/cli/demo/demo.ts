import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../core/clock.ts'
import { type Command, EXIT, type Input } from '../../../core/command.ts'
import { Fault, reasonOf } from '../../../core/fault.ts'
import { createLog } from '../../../core/log.ts'
import { askOperation } from '../../../net/operations.ts'
import type { RouterStatus } from '../../admin/operations.ts'
import type { Advertisement } from '../../discovery/advertisement.ts'
import { demoChecks } from './checks.ts'
import { type Daemon, startDaemon } from './process.ts'
import { operatorSettings, portsFrom, routerSettings, splitSets } from './settings.ts'
import { commandsToTry } from './try.ts'
import { DEMO_ZONE, startDemoPage, startDemoZone } from './zone.ts'

const START_MS_MAX = 60_000
const ENROL_MS_MAX = 30_000
/** `--once` sees a certificate roll over, so it must not take long; to look around, a minute is kinder. */
const LIFETIME = { once: '10s', stay: '60s' } as const

interface DemoDevice {
  readonly name: string
  readonly eab: { readonly kid: string; readonly key: string }
}

/** Everything a test from outside needs (design §1). */
export interface DemoReport {
  readonly name: string
  /** PEM file of the issuing root, which is also the root of the operator's API. */
  readonly trust: string
  readonly do53: string
  readonly dot: string
  readonly doh: string
  readonly page: string
  readonly dnr: Advertisement['dnr']
  readonly operator: { readonly directory: string; readonly trust: string; readonly devices: readonly DemoDevice[] }
  readonly settings: { readonly router: string; readonly operator: string }
  readonly state: string
}

export const DEMO: Command = {
  usage: '[--once] [--json] [OPTION...]',
  summary: 'bring up CA, operator and router on this machine, and show what to try',
  options: {
    once: { type: 'boolean', help: 'check every step, print one JSON report and end' },
    json: { type: 'boolean', help: 'print one JSON object when everything answers, and stay up' },
    upstream: {
      type: 'string',
      multiple: true,
      value: 'URL',
      help: 'resolve through this instead of the built-in zone',
    },
    state: { type: 'string', value: 'DIR', help: 'keep everything here (default: a new temporary directory)' },
    'port-base': { type: 'string', value: 'N', help: 'use ports N, N+1, … instead of the usual ones' },
    lifetime: { type: 'string', value: 'TIME', help: 'lifetime of one certificate, such as 60s' },
    set: {
      type: 'string',
      multiple: true,
      value: 'PATH=VALUE',
      help: 'any setting; `operator.` before those of the operator',
    },
  },
  async run(input) {
    const demo = new Demo(input)
    try {
      return await demo.run()
    } finally {
      await demo.stop()
    }
  },
}

const DIST = fileURLToPath(new URL('.', import.meta.url))
const ROUTER_PROGRAM = join(DIST, 'hearth.mjs')
const OPERATOR_PROGRAM = join(DIST, 'hearth-operator.mjs')

interface Step {
  readonly name: string
  readonly ok: boolean
  readonly ms: number
  readonly detail?: string
}

class Demo {
  readonly #input: Input
  readonly #checks: Step[] = []
  readonly #stops: (() => Promise<void>)[] = []

  constructor(input: Input) {
    this.#input = input
  }

  async run(): Promise<number> {
    const { values, print, signal } = this.#input
    const once = values.once === true
    try {
      const { report, daemons } = await this.#bringUp(once ? LIFETIME.once : LIFETIME.stay)
      if (once) {
        for (const check of demoChecks(report, values.upstream === undefined)) await this.#step(check.name, check.run)
        print(JSON.stringify({ ok: true, checks: this.#checks, ...report }, null, 2))
        return EXIT.OK
      }
      print(values.json === true ? JSON.stringify(report) : commandsToTry(report))
      const ended = await Promise.race([...daemons.map((daemon) => daemon.ended), untilAborted(signal)])
      if (!signal.aborted) throw new Fault('DEMO_FAILED', ended)
      return EXIT.OK
    } catch (error) {
      if (signal.aborted) return EXIT.OK
      if (!once) throw error
      print(JSON.stringify({ ok: false, checks: this.#checks, error: reasonOf(error) }, null, 2))
      return EXIT.FAILED
    }
  }

  async stop(): Promise<void> {
    for (const stop of this.#stops.toReversed()) await stop()
  }

  async #bringUp(defaultLifetime: string): Promise<{ report: DemoReport; daemons: readonly Daemon[] }> {
    const { values } = this.#input
    const state = await this.#stateDirectory()
    const ports = portsFrom(values['port-base'] as string | undefined)
    const lifetime = (values.lifetime as string | undefined) ?? defaultLifetime
    const sets = splitSets((values.set as readonly string[] | undefined) ?? [])

    const operatorState = join(state, 'operator')
    const operatorFile = join(state, 'hearth-operator.yaml')
    await writeFile(operatorFile, operatorSettings({ state: operatorState, port: ports.operator, lifetime }), {
      mode: 0o600,
    })
    const operator = await this.#step('operator and CA are up', async () => {
      const daemon = this.#daemon('hearth-operator', OPERATOR_PROGRAM, operatorFile, sets.operator, state)
      await daemon.until(() => askOperation(join(operatorState, 'admin.sock'), 'status'), START_MS_MAX)
      return daemon
    })
    const [device, ...spare] = await this.#step('router is registered', () =>
      askOperation<readonly DemoDevice[]>(join(operatorState, 'admin.sock'), 'device-add', { count: 3 }),
    )

    const upstreams = (values.upstream as readonly string[] | undefined) ?? (await this.#demoZone())
    const trust = join(operatorState, 'root.pem')
    const directory = `https://127.0.0.1:${ports.operator}/directory`
    const routerState = join(state, 'router')
    const routerFile = join(state, 'hearth.yaml')
    const keyFile = join(state, 'eab.key')
    const { name, eab } = device!
    await writeFile(keyFile, `${eab.key}\n`, { mode: 0o600 })
    const settings = routerSettings({
      state: routerState,
      name,
      kid: eab.kid,
      keyFile,
      trust,
      directory,
      lifetime,
      ports,
      upstreams,
    })
    await writeFile(routerFile, settings, { mode: 0o600 })
    const socket = join(routerState, 'admin.sock')
    const router = await this.#step('router is up', async () => {
      const daemon = this.#daemon('hearth', ROUTER_PROGRAM, routerFile, sets.router, state)
      await daemon.until(() => askOperation(socket, 'status'), START_MS_MAX)
      return daemon
    })
    await this.#step('router has its certificate (ACME delegation, STAR)', () =>
      router.until(async () => {
        const { presence } = await askOperation<RouterStatus>(socket, 'status')
        return presence.certificate
      }, ENROL_MS_MAX),
    )
    const { dnr } = await askOperation<Advertisement>(socket, 'advertise')
    const page = await startDemoPage(ports.page)
    this.#stops.push(page.stop)
    const report: DemoReport = {
      name,
      trust,
      do53: `127.0.0.1:${ports.do53}`,
      dot: `127.0.0.1:${ports.dot}`,
      doh: `https://${name}:${ports.doh}/dns-query`,
      page: `http://page.${DEMO_ZONE}:${page.port}/`,
      dnr,
      operator: { directory, trust, devices: spare },
      settings: { router: routerFile, operator: operatorFile },
      state,
    }
    return { report, daemons: [operator, router] }
  }

  #daemon(name: string, program: string, settings: string, sets: readonly string[], state: string): Daemon {
    const args = ['run', '--config', settings, ...sets.flatMap((set) => ['--set', set])]
    const daemon = startDaemon(name, program, args, join(state, `${name}.log`))
    this.#stops.push(() => daemon.stop())
    return daemon
  }

  async #demoZone(): Promise<string[]> {
    const zone = await startDemoZone({ clock: systemClock, log: createLog('silent') })
    this.#stops.push(zone.stop)
    return [`udp://127.0.0.1:${zone.endpoint.port}`]
  }

  /** A directory of the user's stays; one of ours goes. */
  async #stateDirectory(): Promise<string> {
    const named = this.#input.values.state as string | undefined
    if (named !== undefined) {
      await mkdir(named, { recursive: true, mode: 0o700 })
      return resolve(named)
    }
    const made = await mkdtemp(join(tmpdir(), 'hearth-demo-'))
    this.#stops.push(() => rm(made, { recursive: true, force: true }))
    return made
  }

  /** One line per step on standard error, with its time. */
  async #step<T>(name: string, work: () => Promise<T>): Promise<T> {
    const startedMs = performance.now()
    const note = (ok: boolean, detail?: string): void => {
      const ms = Math.round(performance.now() - startedMs)
      this.#checks.push({ name, ok, ms, ...(detail === undefined ? {} : { detail }) })
      process.stderr.write(`${ok ? 'ok  ' : 'FAIL'} ${name} (${ms} ms)${detail === undefined ? '' : `: ${detail}`}\n`)
    }
    try {
      const value = await work()
      note(true)
      return value
    } catch (error) {
      note(false, reasonOf(error))
      throw error
    }
  }
}

function untilAborted(signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve('stopped'), { once: true }))
}
