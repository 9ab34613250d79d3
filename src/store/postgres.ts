import { join } from 'node:path'
import { Kysely, PostgresDialect, type RawBuilder, sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import { Pool } from 'pg'
import { Fault } from '../core/fault.ts'
import { deepFreeze } from '../core/freeze.ts'
import type { Jobs, Stored, Table } from '../core/table.ts'
import { lockDirectory } from './file.ts'
import { MIGRATIONS } from './migrations/all.ts'
import { rowText, storableText } from './row.ts'

/** Tables and jobs in PostgreSQL, on a server or embedded: one code path for both. */

export interface Store {
  table<T>(name: string): Table<T>
  jobs(name?: string): Jobs
  close(): Promise<void>
}

interface Database {
  hearth_row: { kind: string; id: string; version: string; row: unknown }
  hearth_job: { queue: string; id: string; due_ms: string; lease_until_ms: string; again: boolean }
}

/** A statement of ours takes milliseconds; whoever waits longer should try again later. */
const STATEMENT_MS_MAX = 15_000
const CONNECT_MS_MAX = 5_000
/** Ten instances stay below the hundred connections that a server admits by default. */
const CONNECTIONS_MAX = 8

/** `pglite:DIRECTORY` (one process) or `postgres://...` (any number). Brings the tables up to date. */
export async function openStore(url: string): Promise<Store> {
  const connections = url.startsWith(PGLITE) ? await openEmbedded(url.slice(PGLITE.length)) : connectionsTo(url)
  const db = new Kysely<Database>({ dialect: new PostgresDialect({ pool: connections.pool }) })
  const asked: Ask = async (query) => {
    try {
      return await query(db)
    } catch (error) {
      throw faultOf(error, connections.place)
    }
  }
  try {
    await asked(migrate)
  } catch (error) {
    await connections.close()
    throw error
  }
  return {
    table: (name) => tableIn(asked, name),
    jobs: (name = 'jobs') => jobsIn(asked, name),
    close: () => connections.close(),
  }
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
async function migrate(db: Kysely<Database>): Promise<void> {
  const { error } = await new Migrator({
    db,
    provider: { getMigrations: async () => MIGRATIONS },
    migrationTableName: 'hearth_migration',
    migrationLockTableName: 'hearth_migration_lock',
  }).migrateToLatest()
  if (error !== undefined) throw error
}

type Ask = <R>(query: (db: Kysely<Database>) => Promise<R>) => Promise<R>

function tableIn<T>(ask: Ask, kind: string): Table<T> {
  // Numbers beyond 2^53 come as text; no version gets there.
  const stored = (id: string, version: string, row: T): Stored<T> => deepFreeze({ id, version: Number(version), row })
  const written = (id: string, version: string | undefined, text: string): Stored<T> | undefined =>
    version === undefined ? undefined : stored(id, version, JSON.parse(text))
  return {
    async find(id) {
      const found = await ask((db) =>
        db
          .selectFrom('hearth_row')
          .select(['version', 'row'])
          .$castTo<{ version: string; row: T }>()
          .where('kind', '=', kind)
          .where('id', '=', storableText(id))
          .executeTakeFirst(),
      )
      return found && stored(id, found.version, found.row)
    },
    async insert(id, row) {
      const text = rowText(row)
      const inserted = await ask((db) =>
        db
          .insertInto('hearth_row')
          .values({ kind, id: storableText(id), version: NEXT_VERSION, row: jsonb(text) })
          .onConflict((conflict) => conflict.doNothing())
          .returning('version')
          .executeTakeFirst(),
      )
      return written(id, inserted?.version, text)
    },
    async replace(seen, next) {
      const text = rowText(next)
      const updated = await ask((db) =>
        db
          .updateTable('hearth_row')
          .set({ version: NEXT_VERSION, row: jsonb(text) })
          .where('kind', '=', kind)
          .where('id', '=', storableText(seen.id))
          .where('version', '=', String(seen.version))
          .returning('version')
          .executeTakeFirst(),
      )
      return written(seen.id, updated?.version, text)
    },
    async remove(seen) {
      const { numDeletedRows } = await ask((db) =>
        db
          .deleteFrom('hearth_row')
          .where('kind', '=', kind)
          .where('id', '=', storableText(seen.id))
          .where('version', '=', String(seen.version))
          .executeTakeFirst(),
      )
      return numDeletedRows === 1n
    },
    async list({ where = {}, after, limit }) {
      const rows = await ask((db) => {
        let query = db.selectFrom('hearth_row').select(['id', 'version', 'row']).where('kind', '=', kind)
        if (after !== undefined) query = query.where('id', '>', storableText(after))
        // The name as a literal, because an expression index is found by its text.
        for (const [name, value] of Object.entries(where))
          query = query.where(sql<boolean>`row -> ${sql.lit(name)} = to_jsonb(${storableText(value)}::text)`)
        return query.orderBy('id').limit(limit).$castTo<{ id: string; version: string; row: T }>().execute()
      })
      return rows.map(({ id, version, row }) => stored(id, version, row))
    },
  }
}

const NEXT_VERSION = sql<string>`nextval('hearth_version')`

function jsonb(text: string): RawBuilder<unknown> {
  return sql`${text}::jsonb`
}

function jobsIn(ask: Ask, queue: string): Jobs {
  return {
    async put(job, dueMs) {
      await ask((db) =>
        db
          .insertInto('hearth_job')
          .values({ queue, id: job, due_ms: whole(dueMs), lease_until_ms: '0', again: false })
          .onConflict((conflict) =>
            conflict.columns(['queue', 'id']).doUpdateSet({
              due_ms: sql`excluded.due_ms`,
              // Put again after it was taken: the worker's `finish` must not end it.
              again: sql`hearth_job.lease_until_ms > 0`,
            }),
          )
          .execute(),
      )
    },
    async take(nowMs, leaseMs, limit) {
      const now = whole(nowMs)
      const taken = await ask((db) =>
        db
          .with('due', (due) =>
            due
              .selectFrom('hearth_job')
              .select('id')
              .where('queue', '=', queue)
              .where('due_ms', '<=', now)
              .where('lease_until_ms', '<=', now)
              .orderBy('due_ms')
              .limit(limit)
              .forUpdate()
              .skipLocked(),
          )
          .updateTable('hearth_job')
          .from('due')
          .set({ lease_until_ms: whole(nowMs + leaseMs), again: false })
          .where('hearth_job.queue', '=', queue)
          .whereRef('hearth_job.id', '=', 'due.id')
          .returning(['hearth_job.id', 'due_ms'])
          .execute(),
      )
      return taken.sort((a, b) => Number(a.due_ms) - Number(b.due_ms)).map(({ id }) => id)
    },
    async extend(job, leaseUntilMs) {
      await ask((db) =>
        db
          .updateTable('hearth_job')
          .set({ lease_until_ms: whole(leaseUntilMs) })
          .where('queue', '=', queue)
          .where('id', '=', job)
          .where('lease_until_ms', '>', '0')
          .execute(),
      )
    },
    async finish(job, nextDueMs) {
      if (nextDueMs === undefined) await ask((db) => endJob(db, queue, job))
      else await ask((db) => postponeJob(db, queue, job, nextDueMs))
    },
  }
}

/** bigint travels as text. */
function whole(ms: number): string {
  return String(Math.trunc(ms))
}

async function endJob(db: Kysely<Database>, queue: string, job: string): Promise<void> {
  const { numDeletedRows } = await db
    .deleteFrom('hearth_job')
    .where('queue', '=', queue)
    .where('id', '=', job)
    .where('again', '=', false)
    .executeTakeFirst()
  if (numDeletedRows === 1n) return
  await db
    .updateTable('hearth_job')
    .set({ lease_until_ms: '0', again: false })
    .where('queue', '=', queue)
    .where('id', '=', job)
    .where('again', '=', true)
    .execute()
}

async function postponeJob(db: Kysely<Database>, queue: string, job: string, dueMs: number): Promise<void> {
  await db
    .insertInto('hearth_job')
    .values({ queue, id: job, due_ms: whole(dueMs), lease_until_ms: '0', again: false })
    .onConflict((conflict) =>
      conflict.columns(['queue', 'id']).doUpdateSet({
        due_ms: sql`case when hearth_job.again then least(hearth_job.due_ms, excluded.due_ms) else excluded.due_ms end`,
        lease_until_ms: '0',
        again: false,
      }),
    )
    .execute()
}

/** Conditions of the server and the network (classes of Appendix A of its manual); the rest are bugs of ours. */
const UNAVAILABLE = /^(08|28|3D|40|53|55|57|58)...$|^E[A-Z]+$/

function faultOf(error: unknown, place: string): unknown {
  if (!(error instanceof Error)) return error
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  const isConnection = UNAVAILABLE.test(code) || /connection|timeout exceeded/i.test(error.message)
  return isConnection ? new Fault('STORE_UNAVAILABLE', `${place} does not answer as it should`, {}, error) : error
}
