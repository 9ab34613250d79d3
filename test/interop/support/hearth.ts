import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { askOperation } from '../../../src/net/operations.ts'
import type { NewDevice } from '../../../src/operator/delegation/device.ts'
import type { RouterStatus } from '../../../src/router/admin/operations.ts'
import { type Daemon, type Ran, type RunOptions, run, startDaemon } from './daemon.ts'
import { freePort, freePorts } from './ports.ts'
import type { Scene } from './scene.ts'

/** The built programs, run as a user runs them. */
const DIST = join(import.meta.dirname, '../../../dist')
export const PROGRAM = { router: join(DIST, 'hearth.mjs'), operator: join(DIST, 'hearth-operator.mjs') }
if (!existsSync(PROGRAM.router)) throw new Error('dist/ is missing: run `npm run build` first')

/** The embedded store needs some seconds for its first start, more on a busy machine. */
const START_MS_MAX = 60_000

export function hearth(...args: readonly string[]): Promise<Ran> {
  return run(process.execPath, [PROGRAM.router, ...args])
}

export function hearthOperator(...args: readonly string[]): Promise<Ran> {
  return run(process.execPath, [PROGRAM.operator, ...args])
}

export function startProgram(program: keyof typeof PROGRAM, args: readonly string[], options: RunOptions = {}): Daemon {
  return startDaemon(process.execPath, [PROGRAM[program], ...args], options)
}

export interface OperatorProgram {
  readonly settings: string
  readonly state: string
  readonly directoryUrl: string
  /** PEM file: the root of its API. */
  readonly root: string
  readonly port: number
  /** Resolves when it answers. */
  start(...args: readonly string[]): Promise<Daemon>
  addDevice(): Promise<NewDevice>
}

/** Settings for an operator service on loopback, with `admin` as address of its admin API; `more` goes over the defaults of these tests. */
export async function operatorIn(
  scene: Scene,
  name: string,
  { admin, ...more }: Readonly<Record<string, unknown>> & { readonly admin?: string },
): Promise<OperatorProgram> {
  const port = await freePort()
  const address = `127.0.0.1:${port}`
  const state = scene.path(name, 'state')
  const settings = await scene.settings(`${name}/hearth-operator.yaml`, {
    state,
    listen: { api: address, ...(admin === undefined ? {} : { admin }) },
    'base-url': `https://${address}`,
    zone: { name: 'cpe.test' },
    delegation: { 'min-lifetime': '1s' },
    ...more,
  })
  const socket = join(state, 'admin.sock')
  return {
    settings,
    state,
    directoryUrl: `https://${address}/directory`,
    root: join(state, 'root.pem'),
    port,
    async start(...args) {
      const daemon = startProgram('operator', ['run', '--config', settings, ...args])
      await daemon.until(() => askOperation(socket, 'status'), START_MS_MAX)
      return daemon
    },
    addDevice: async () => (await askOperation<readonly NewDevice[]>(socket, 'device-add', { count: 1 }))[0]!,
  }
}

export interface RouterProgram {
  readonly name: string
  readonly settings: string
  readonly state: string
  readonly ports: { readonly do53: number; readonly dot: number; readonly doh: number }
  /** Resolves when it answers, with or without a certificate. */
  start(): Promise<Daemon>
  status(): Promise<RouterStatus>
}

/** Settings for a router on loopback that enrols at the operator; `more` goes over the defaults of these tests. */
export async function routerIn(
  scene: Scene,
  name: string,
  from: {
    readonly device: NewDevice
    readonly directoryUrl: string
    readonly trust: string
    readonly lifetime: string
    readonly more?: Readonly<Record<string, unknown>>
  },
): Promise<RouterProgram> {
  const [do53, dot, doh] = (await freePorts(3)) as [number, number, number]
  const { device, directoryUrl, trust, lifetime, more = {} } = from
  const state = scene.path(name, 'state')
  const keyFile = await scene.write(`${name}/eab.key`, `${device.eab.key}\n`)
  const settings = await scene.settings(`${name}/hearth.yaml`, {
    state,
    identity: {
      name: device.name,
      'acme-delegation': {
        directory: directoryUrl,
        eab: { kid: device.eab.kid, 'key-file': keyFile },
        trust,
        lifetime,
      },
    },
    listen: { do53: [`127.0.0.1:${do53}`], dot: [`127.0.0.1:${dot}`], doh: [`127.0.0.1:${doh}`] },
    upstreams: [{ url: 'udp://127.0.0.1:9' }],
    // The zones of these tests are below it.
    local: { 'special-names': { forward: ['test'] } },
    ...more,
  })
  const status = (): Promise<RouterStatus> => askOperation<RouterStatus>(join(state, 'admin.sock'), 'status')
  return {
    name: device.name,
    settings,
    state,
    ports: { do53, dot, doh },
    async start() {
      const daemon = startProgram('router', ['run', '--config', settings])
      await daemon.until(status, START_MS_MAX)
      return daemon
    },
    status,
  }
}

/** A device nobody registered, for routers that never enrol. */
export const UNREGISTERED: NewDevice = {
  name: 'cpe-0.cpe.test',
  eab: { kid: 'cpe-0.cpe.test', key: Buffer.from('a key of nobody, 32 octets long.').toString('base64url') },
}
