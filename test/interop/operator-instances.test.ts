import { X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { beforeAll, expect, it } from 'vitest'
import type { OrderRow } from '../../src/acme/server/rows.ts'
import { systemClock } from '../../src/core/clock.ts'
import { Fault } from '../../src/core/fault.ts'
import { createHttpTransport, type HttpTransport } from '../../src/net/http.ts'
import type { NewDevice } from '../../src/operator/delegation/device.ts'
import type { PublicationRow } from '../../src/operator/publication/rows.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import type { Identity } from '../../src/pki/issuer.ts'
import { generateKey } from '../../src/pki/key.ts'
import { delegatedIssuer } from '../../src/router/identity/issuers/delegated.ts'
import { balance } from './support/balancer.ts'
import { type Daemon, eventually, pause } from './support/daemon.ts'
import { type OperatorProgram, operatorIn } from './support/hearth.ts'
import { freePort } from './support/ports.ts'
import { type Postgres, postgresIn } from './support/postgres.ts'
import { openScene } from './support/scene.ts'

const INSTANCES = 3
const CLIENTS = 24
const KILLS = 12
/** A job of an instance that was killed is taken up again after its lease, 20 s: renewals begin earlier than that. */
const LIFETIME_S = 60
const LIVES_MS = 60_000
/** Certificates a router takes from one order here. */
const RENEWALS = 2
const ORDER_S = 600

const scene = openScene()
let postgres: Postgres

beforeAll(async () => {
  postgres = await postgresIn(scene)
  await postgres.start()
})

it('three instances on one database, one of them killed again and again: nothing lost, nothing doubled', async () => {
  const database = new Client({ connectionString: postgres.url })
  await database.connect()
  const port = await freePort()
  const instances: OperatorProgram[] = []
  for (let n = 0; n < INSTANCES; n++)
    instances.push(
      await operatorIn(scene, `instance-${n}`, {
        store: postgres.url,
        authorities: [{ name: 'internal', kind: 'internal' }],
        'base-url': `https://127.0.0.1:${port}`,
      }),
    )
  const daemons: Daemon[] = await Promise.all(instances.map((instance) => instance.start()))
  const roots = await Promise.all(instances.map(({ root }) => readFile(root, 'utf8')))
  expect(new Set(roots).size).toBe(1)

  const balancer = await balance(
    port,
    instances.map((instance) => instance.port),
  )
  const devices: NewDevice[] = []
  for (let n = 0; n < CLIENTS; n++) devices.push(await instances[n % INSTANCES]!.addDevice())

  const routers = devices.map((device, n) => routerLife(device, n, `https://127.0.0.1:${port}`, roots[0]!))
  for (let kill = 0; kill < KILLS; kill++) {
    await pause(2_000)
    const index = kill % INSTANCES
    await daemons[index]!.stop('SIGKILL')
    await pause(500)
    daemons[index] = await instances[index]!.start()
  }
  const lives = await Promise.all(routers)
  await eventually(async () => expect(await rowsOf<OrderRow>('order', 'processing')).toEqual([]))
  expect(balancer.counts.every((count) => count > 0)).toBe(true)

  // Nothing lost: everybody enrolled, saw renewals, and never a certificate past its end.
  for (const life of lives) {
    expect(life.expired).toEqual([])
    expect(life.serials.size).toBeGreaterThan(RENEWALS)
  }

  // Nothing doubled: each order that was finalized has its one publication, and there is no other.
  const orders = await rowsOf<OrderRow>('order')
  const finalized = orders.filter(({ row }) => row.csr !== undefined)
  expect(new Set(finalized.map(({ row }) => row.status))).toEqual(new Set(['valid']))
  const publications = await rowsOf<PublicationRow>('publication')
  expect(publications.length).toBe(finalized.length)
  expect(new Set(publications.map(({ id }) => id))).toEqual(new Set(finalized.map(({ row }) => row.certificate)))
  expect((await rowsOf('account')).length).toBe(CLIENTS)
  for (const { row } of publications) {
    const leaf = new X509Certificate(row.pem)
    expect(leaf.publicKey.export({ type: 'spki', format: 'der' })).toEqual(
      Buffer.from(parseCsr(Buffer.from(row.csr, 'base64url')).spki),
    )
    expect(leaf.subjectAltName).toBe(`DNS:${row.names[0]}`)
  }
  // One renewal is planned for each certificate, and no first step is left.
  const { rows: jobs } = await database.query<{ id: string }>('select id from hearth_job')
  expect(jobs.filter(({ id }) => id.startsWith('issue/'))).toEqual([])
  expect(jobs.filter(({ id }) => id.startsWith('renew/')).length).toBe(publications.length)
  await database.end()

  async function rowsOf<T>(kind: string, status?: string): Promise<{ id: string; row: T }[]> {
    const { rows } = await database.query<{ id: string; row: T }>('select id, row from hearth_row where kind = $1', [
      kind,
    ])
    return rows.filter(({ row }) => status === undefined || (row as { status?: string }).status === status)
  }
})

/** A router: enrols until it succeeds, then fetches what is published until it has seen some renewals. */
async function routerLife(
  device: NewDevice,
  index: number,
  baseUrl: string,
  root: string,
): Promise<{ readonly serials: ReadonlySet<string>; readonly expired: readonly string[] }> {
  await mkdir(scene.path(`router-${index}`))
  const transport: HttpTransport = createHttpTransport({ ca: [root], userAgent: 'test', timeoutMs: 5_000 })
  const issuer = delegatedIssuer({
    directoryUrl: `${baseUrl}/directory`,
    eab: { kid: device.eab.kid, key: device.eab.key },
    lifetimeS: LIFETIME_S,
    orderSpanS: ORDER_S,
    stateDir: scene.path(`router-${index}`),
    transport,
    clock: systemClock,
  })
  const keyPem = await generateKey('p256')
  const names = [device.name]
  const { signal } = new AbortController()
  const serials = new Set<string>()
  const expired: string[] = []
  let identity: Identity | undefined
  let orders = 0
  const untilMs = Date.now() + LIVES_MS
  for (; Date.now() < untilMs; await pause(300)) {
    try {
      identity = identity
        ? ((await issuer.refresh!(identity, signal)) ?? identity)
        : await issuer.issue(names, (plan) => createCsr({ ...plan, keyPem, dnsNames: names }), signal)
      serials.add(new X509Certificate(identity.chain[0]!).serialNumber)
      // From time to time a new order, so that all steps are under way whenever an instance dies.
      if (serials.size >= (orders + 1) * RENEWALS) {
        identity = undefined
        orders++
      }
    } catch (error) {
      if (!(error instanceof Fault) || !/^(ACME|HTTP)_/.test(error.code)) throw error
      // An instance died under this request: the next one goes to another.
    }
    if (identity && identity.notAfterMs < Date.now()) expired.push(new Date(identity.notAfterMs).toISOString())
  }
  transport.close()
  return { serials, expired }
}

it('an instance serves what its roles are', async () => {
  const shared = { store: postgres.url, authorities: [{ name: 'internal', kind: 'internal' }] }
  const api = await operatorIn(scene, 'api', shared)
  const baseUrl = api.directoryUrl.replace('/directory', '')
  const publisher = await operatorIn(scene, 'publisher', { ...shared, 'base-url': baseUrl })
  const worker = await operatorIn(scene, 'worker', { ...shared, 'base-url': baseUrl, roles: ['worker'] })
  await Promise.all([api.start('--role', 'api'), publisher.start('--role', 'publish'), worker.start()])
  const root = await readFile(api.root, 'utf8')
  const transport = createHttpTransport({ ca: [root], userAgent: 'test' })
  const device = await api.addDevice()
  await mkdir(scene.path('router-of-roles'))
  const issuer = delegatedIssuer({
    directoryUrl: api.directoryUrl,
    eab: { kid: device.eab.kid, key: device.eab.key },
    lifetimeS: 3_600,
    orderSpanS: 86_400,
    stateDir: scene.path('router-of-roles'),
    transport,
    clock: systemClock,
  })
  const keyPem = await generateKey('p256')
  const signal = new AbortController().signal
  const identity = await issuer.issue(
    [device.name],
    (plan) => createCsr({ ...plan, keyPem, dnsNames: [device.name] }),
    signal,
  )

  const get = async (url: string) => transport({ method: 'GET', url })
  const published = identity.star!.url.replace(`:${api.port}/`, `:${publisher.port}/`)
  expect((await get(published)).body).toEqual((await get(identity.star!.url)).body)
  expect((await get(`https://127.0.0.1:${publisher.port}/directory`)).status).toBe(404)
  await expect(get(`https://127.0.0.1:${worker.port}/directory`)).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE' })
  transport.close()
})
