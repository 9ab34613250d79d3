import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Fault } from '../../src/core/fault.ts'
import type { Jobs } from '../../src/core/table.ts'
import { listenOn } from '../../src/net/bind.ts'
import { MIGRATIONS } from '../../src/store/migrations/all.ts'
import { openStore, type Store } from '../../src/store/postgres.ts'
import { jobsContract } from '../store/jobs-contract.ts'
import { tableContract } from '../store/table-contract.ts'
import { eventually } from './support/daemon.ts'

// Debian's PostgreSQL, in a directory of its own. It refuses to run as root, so it then runs as its usual user.
const PROGRAMS = '/usr/lib/postgresql/15/bin'
const PASSWORD = 'pass/wörd?1'
const isRoot = process.getuid?.() === 0
const idOf = (flag: string): number => Number(execFileSync('id', [flag, 'postgres']))
const identity = isRoot ? { uid: idOf('-u'), gid: idOf('-g') } : undefined

let home: string
let port: number
let server: ChildProcess
let store: Store
let made = 0

const urlOf = (database: string, password = PASSWORD): string =>
  `postgres://hearth:${encodeURIComponent(password)}@127.0.0.1:${port}/${database}`

async function freePort(): Promise<number> {
  const probe = createServer()
  const { port: free } = await listenOn(probe, { host: '127.0.0.1', port: 0 })
  probe.close()
  await once(probe, 'close')
  return free
}

async function start(): Promise<void> {
  const options = [
    '-D',
    join(home, 'data'),
    '-k',
    home,
    '-p',
    String(port),
    '-c',
    'listen_addresses=127.0.0.1',
    '-c',
    'fsync=off',
  ]
  server = spawn(join(PROGRAMS, 'postgres'), options, { ...identity, cwd: home, stdio: ['ignore', 'ignore', 'pipe'] })
  await new Promise<void>((ready, failed) => {
    server.once('exit', (code) => failed(new Error(`postgres ended with ${code}`)))
    server.stderr?.on('data', (line) => String(line).includes('ready to accept connections') && ready())
  })
}

async function stop(): Promise<void> {
  const gone = once(server, 'exit')
  server.kill('SIGINT')
  await gone
}

async function ask(sql: string, database = 'postgres'): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: urlOf(database) })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows
  } finally {
    await client.end()
  }
}

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'hearth-pg-'))
  if (identity) await chown(home, identity.uid, identity.gid)
  await writeFile(join(home, 'password'), PASSWORD, { mode: 0o644 })
  const options = [
    '-D',
    join(home, 'data'),
    '-U',
    'hearth',
    '-A',
    'scram-sha-256',
    '--pwfile',
    join(home, 'password'),
    '-N',
    '-E',
    'UTF8',
  ]
  execFileSync(join(PROGRAMS, 'initdb'), options, { ...identity, cwd: home })
  port = await freePort()
  await start()
  await ask('create database rows')
  store = await openStore(urlOf('rows'), { leaseClock: 'given' })
})

afterAll(async () => {
  await store.close()
  await stop()
  await rm(home, { recursive: true })
})

describe('rows in PostgreSQL', () => tableContract(async () => store.table(`kind-${made++}`)))
describe('jobs in PostgreSQL', () => jobsContract(async () => store.jobs(`queue-${made++}`)))

it('lets many instances start at once on an empty database', async () => {
  await ask('create database fresh')
  const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(urlOf('fresh'))))
  const inserts = stores.map((each) => each.table<object>('kind').insert('one', {}))
  expect((await Promise.all(inserts)).filter(Boolean)).toHaveLength(1)
  await Promise.all(stores.map((each) => each.close()))
  expect(await ask('select name from hearth_migration', 'fresh')).toEqual(
    Object.keys(MIGRATIONS).map((name) => ({ name })),
  )
})

it('hands no job to two instances whose clocks differ, and gives one back when its lease is over', async () => {
  const HOUR_MS = 3_600_000
  const stores = await Promise.all([openStore(urlOf('rows')), openStore(urlOf('rows'))])
  const [late, early] = stores.map((each) => each.jobs('skewed')) as [Jobs, Jobs]
  await late.put('job', 0)
  expect(await late.take(Date.now() - HOUR_MS, 2_000, 1)).toEqual(['job'])
  expect(await early.take(Date.now() + HOUR_MS, 2_000, 1)).toEqual([])
  await late.extend('job', Date.now() - HOUR_MS, 300)
  expect(await early.take(Date.now() + HOUR_MS, 2_000, 1)).toEqual([])
  await eventually(async () => expect(await early.take(Date.now() + HOUR_MS, 60_000, 1)).toEqual(['job']))
  await Promise.all(stores.map((each) => each.close()))
})

it('gives every instance the same secrets', async () => {
  const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(urlOf('rows'))))
  const secrets = await Promise.all(stores.map((each) => each.secret('shared')))
  expect(new Set(secrets.map((secret) => secret.toString('hex'))).size).toBe(1)
  await Promise.all(stores.map((each) => each.close()))
})

it('shares jobs between instances', async () => {
  const other = await openStore(urlOf('rows'), { leaseClock: 'given' })
  const queues = [store.jobs('shared'), other.jobs('shared')]
  for (let n = 0; n < 60; n++) await queues[n % 2]!.put(`job-${n}`, 0)
  const taken: string[] = []
  for (let left = 60; left > 0; left = 60 - taken.length)
    taken.push(...(await Promise.all(queues.map((jobs) => jobs.take(1, 1000, 7)))).flat())
  expect(new Set(taken).size).toBe(60)
  await other.close()
})

it.each([
  ['a wrong password', () => urlOf('rows', 'wrong-secret')],
  ['a database that is not there', () => urlOf('nowhere')],
  ['a port where nobody listens', () => `postgres://hearth:wrong-secret@127.0.0.1:1/rows`],
  ['a host that is not there', () => `postgres://hearth:wrong-secret@no-such-host.invalid/rows`],
  ['a URL that cannot be read', () => `postgres://hearth:wrong-secret@[::/rows`],
  ['another scheme', () => `mysql://hearth:wrong-secret@127.0.0.1/rows`],
])('reports %s without the password', async (_what, url) => {
  const fault: Fault = await openStore(url()).then(
    () => expect.unreachable('it opened'),
    (error: Fault) => error,
  )
  expect(fault.code).toBe('STORE_UNAVAILABLE')
  expect([fault.message, fault.stack, JSON.stringify(fault.facts), String(fault.cause)].join()).not.toMatch(
    /wrong-secret|pass%2F/,
  )
})

it('reports a server that went away, and goes on when it is back', async () => {
  const table = store.table<{ n: number }>('survivor')
  await table.insert('one', { n: 1 })
  await stop()
  await expect(table.find('one')).rejects.toMatchObject({
    code: 'STORE_UNAVAILABLE',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
  await start()
  expect(await table.find('one')).toMatchObject({ row: { n: 1 } })
})
