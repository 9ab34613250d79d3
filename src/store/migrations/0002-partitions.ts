import { type Kysely, sql } from 'kysely'

/** Decision 8 says why. What is not named here shares one partition. */
const KINDS = [
  'account',
  'account-key',
  'audit',
  'audit-head',
  'budget',
  'device',
  'issuance',
  'order',
  'publication',
  'used-nonce',
]
/** One written for each request, worth nothing after an hour: not in the log, so gone after a crash of the database. */
const UNLOGGED = ['used-nonce']
/** A few rows, or rows of a few seconds, that are written again and again. */
const RESTLESS = ['audit-head', 'budget', 'issuance']
/** Moved while others wait, some seconds at most. A kind with more rows stays where it is, which works as well. */
const ROWS_MOVED_MAX = 200_000

const LOCK_WAIT = '10s'
/** For reading through ten million rows that stay. */
const TIME_MAX = '10min'

/**
 * Rows of each kind into a partition of their own. In one transaction, and with the names and columns there were: what
 * an instance of yesterday asks meanwhile waits, and then runs as before.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const run = (text: string): Promise<unknown> => sql.raw(text).execute(db)
  await run(`set local lock_timeout = '${LOCK_WAIT}'; set local statement_timeout = '${TIME_MAX}'`)
  await run('lock table hearth_row in access exclusive mode')

  await run('alter table hearth_row rename to hearth_row_other')
  await run('alter index hearth_row_pkey rename to hearth_row_other_pkey')
  await run('alter index hearth_row_by_account rename to hearth_row_other_by_account')
  await run('create table hearth_row (like hearth_row_other, primary key (kind, id)) partition by list (kind)')
  for (const kind of KINDS) if (await isMovable(db, kind)) await move(run, kind)
  await run('alter table hearth_row attach partition hearth_row_other default')

  await run(`create index hearth_row_other_processing on hearth_row_other (kind, id) where ${IS_PROCESSING}`)
  for (const part of await partsOf(db, ['device', 'order', 'publication']))
    await run(
      `create index ${part}_by_account on ${part} ((row -> 'account'), id) where (row -> 'account') is not null`,
    )
  for (const part of await partsOf(db, ['order']))
    await run(`create index ${part}_processing on ${part} (id) where ${IS_PROCESSING}`)
  // A certificate chain of 3 kB stays in its row: one read, not one for each piece of it.
  for (const part of await partsOf(db, ['publication']))
    await run(`alter table ${part} set (toast_tuple_target = 8160)`)
  // Dead rows of a fiftieth of the table, not of a fifth: at millions of rows that would be weeks of churn at once.
  for (const part of await partsOf(db, KINDS))
    await run(`alter table ${part} set (autovacuum_vacuum_scale_factor = 0.02, autovacuum_analyze_scale_factor = 0.02)`)
  // Indexed by id alone, so that writing such a row again rewrites no index (HOT) as long as its page has room.
  for (const part of await partsOf(db, RESTLESS)) await run(`alter table ${part} set (fillfactor = 50)`)
  // The ends of the queue are read all the time. A lease is no part of an index, so taking a job rewrites none (HOT).
  await run(`alter table hearth_job set (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01,
    autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0)`)
}

const IS_PROCESSING = `row -> 'status' = '"processing"'::jsonb`

async function isMovable(db: Kysely<unknown>, kind: string): Promise<boolean> {
  const { rows } = await sql<{ count: string }>`
    select count(*) from (select from hearth_row_other where kind = ${kind} limit ${ROWS_MOVED_MAX + 1}) as counted`.execute(
    db,
  )
  return Number(rows[0]?.count) <= ROWS_MOVED_MAX
}

async function move(run: (text: string) => Promise<unknown>, kind: string): Promise<void> {
  const unlogged = UNLOGGED.includes(kind) ? 'unlogged' : ''
  await run(`create ${unlogged} table ${partOf(kind)} partition of hearth_row for values in ('${kind}')`)
  await run(`insert into ${partOf(kind)} select * from hearth_row_other where kind = '${kind}'`)
  await run(`delete from hearth_row_other where kind = '${kind}'`)
}

function partOf(kind: string): string {
  return `hearth_row_${kind.replaceAll('-', '_')}`
}

/** Those partitions that were made. */
async function partsOf(db: Kysely<unknown>, kinds: readonly string[]): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`
    select relname::text as name from pg_class join pg_inherits on oid = inhrelid
    where inhparent = 'hearth_row'::regclass`.execute(db)
  const made = new Set(rows.map(({ name }) => name))
  return kinds.map(partOf).filter((part) => made.has(part))
}
