import { join } from 'node:path'
import { Kysely, PostgresDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import { Pool } from 'pg'
import { Fault } from '../core/fault.ts'
import type { Jobs, Table } from '../core/table.ts'
import { lockDirectory } from './file.ts'
import type { Keep } from './kept.ts'
import { MIGRATIONS } from './migrations/all.ts'
import { jobsIn } from './postgres-jobs.ts'
import { tableIn } from './postgres-table.ts'
import { keptInTable, type SecretRow, secretIn } from './secrets.ts'
import type { Ask } from './statement.ts'

/** Tables and jobs in PostgreSQL, on a server or embedded: one code path for both. */

export interface Store {
  table<T>(name: string): Table<T>
  jobs(name?: string): Jobs
  /** Other instances may be on it too: what all must have alike (a CA, account keys) is kept in here. */
  readonly isShared: boolean
  readonly keep: Keep
  /** 32 random bytes under this name, made once and the same at all instances. */
  secret(name: string): Promise<Buffer>
  close(): Promise<void>
}

export interface StoreOptions {
  /** Encrypts what `keep` and `secret` write: STORE_KEY_BYTES of them. */
  readonly key?: Uint8Array
  /** What leases of jobs are measured by: the server's clock unless the store is embedded. Tests have times of their own. */
  readonly leaseClock?: 'server' | 'given'
}

/** A statement of ours takes milliseconds; whoever waits longer should try again later. */
const STATEMENT_MS_MAX = 15_000
const CONNECT_MS_MAX = 5_000
/** Ten instances stay below the hundred connections that a server admits by default. */
const CONNECTIONS_MAX = 8

/** `pglite:DIRECTORY` (one process) or `postgres://...` (any number). Brings the tables up to date. */
export async function openStore(url: string, options: StoreOptions = {}): Promise<Store> {
  const isShared = !url.startsWith(PGLITE)
  const connections = isShared ? connectionsTo(url) : await openEmbedded(url.slice(PGLITE.length))
  const { pool, place } = connections
  const named = async <R>(work: () => Promise<R>): Promise<R> => {
    try {
      return await work()
    } catch (error) {
      throw faultOf(error, place)
    }
  }
  const ask: Ask = <R extends object>({ name, text, values }: Parameters<Ask>[0]) =>
    named(async () => {
      const query = { text, values: [...values], ...(name === undefined ? {} : { name }) }
      const { rows, rowCount } = await untangled(() => pool.query<R>(query))
      return { rows, count: rowCount ?? 0 }
    })
  try {
    await named(() => migrate(pool))
  } catch (error) {
    await connections.close()
    throw error
  }
  const keep = keptInTable(tableIn<SecretRow>(ask, 'secret'), options.key)
  const leaseClock = options.leaseClock ?? (isShared ? 'server' : 'given')
  return {
    table: (name) => tableIn(ask, name),
    jobs: (name = 'jobs') => jobsIn(ask, name, leaseClock),
    isShared,
    keep,
    secret: (name) => secretIn(keep, name),
    close: () => connections.close(),
  }
}

/** Statements that write several rows may wait for each other in a circle; the server then undoes one of them. */
const DEADLOCKS_MAX = 5

async function untangled<R>(query: () => Promise<R>): Promise<R> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await query()
    } catch (error) {
      if (attempt > DEADLOCKS_MAX || !isDeadlock(error)) throw error
    }
  }
}

function isDeadlock(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '40P01'
}

interface Connections {
  readonly pool: Pool
  /** For messages: without the password. */
  readonly place: string
  close(): Promise<void>
}

function connectionsTo(url: string): Connections {
  // The parser of the library would put the whole URL, password included, into its error.
  const parsed = /^postgres(ql)?:/.test(url) && URL.canParse(url) ? new URL(url) : undefined
  if (!parsed) throw new Fault('STORE_UNAVAILABLE', 'the store is neither pglite:DIRECTORY nor a postgres:// URL')
  const pool = new Pool({
    connectionString: url,
    max: CONNECTIONS_MAX,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    statement_timeout: STATEMENT_MS_MAX,
    idle_in_transaction_session_timeout: STATEMENT_MS_MAX,
    keepAlive: true,
    application_name: 'hearth',
  })
  // A connection that breaks while nobody uses it is replaced at the next use.
  pool.on('error', () => {})
  const host = parsed.host || parsed.searchParams.get('host') || 'localhost'
  return { pool, place: `postgres://${host}${parsed.pathname}`, close: () => pool.end() }
}

const PGLITE = 'pglite:'

/**
 * The engine does not guard its files: two processes on one directory lose rows. It is one session, too: its pool holds one
 * connection, so nothing here may ask for a second one inside a transaction.
 */
async function openEmbedded(directory: string): Promise<Connections> {
  if (directory === '') throw new Fault('STORE_UNAVAILABLE', 'the store has no directory: write pglite:DIRECTORY')
  const home = join(directory, 'pglite')
  const lock = await lockDirectory(home)
  try {
    const [{ PGlite }, { createPgConfig }] = await Promise.all([
      import('@electric-sql/pglite'),
      import('@electric-sql/pglite/node-postgres'),
    ])
    const engine = await PGlite.create(join(home, 'data'))
    const pool = new Pool(createPgConfig(engine))
    const close = async (): Promise<void> => {
      await pool.end()
      await engine.close()
      await lock.release()
    }
    return { pool, place: `pglite:${directory}`, close }
  } catch (error) {
    await lock.release()
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'
    const reason = isMissing ? 'the package @electric-sql/pglite is not installed' : 'the database does not open'
    throw new Fault('STORE_UNAVAILABLE', `pglite:${directory}: ${reason}`, {}, error)
  }
}

/** Under an advisory lock, so any number of instances may start at once. */
async function migrate(pool: Pool): Promise<void> {
  const { error } = await new Migrator({
    db: new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) }),
    provider: { getMigrations: async () => MIGRATIONS },
    migrationTableName: 'hearth_migration',
    migrationLockTableName: 'hearth_migration_lock',
  }).migrateToLatest()
  if (error !== undefined) throw error
}

/** Conditions of the server and the network (classes of Appendix A of its manual); the rest are bugs of ours. */
const UNAVAILABLE = /^(08|28|3D|40|53|55|57|58)...$|^E[A-Z]+$/

function faultOf(error: unknown, place: string): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const isConnection = UNAVAILABLE.test(code) || /connection|timeout exceeded/i.test(error.message)
  return isConnection ? new Fault('STORE_UNAVAILABLE', `${place} does not answer as it should`, {}, error) : error
}
