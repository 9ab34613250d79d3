import { Kysely, PostgresDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import { Client, Pool } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { MIGRATIONS } from '../../src/store/migrations/all.ts'
import { openStore } from '../../src/store/postgres.ts'
import { type Postgres, postgresIn } from './support/postgres.ts'
import { openScene } from './support/scene.ts'

const scene = openScene()
let postgres: Postgres
let admin: Client
let databases = 0

beforeAll(async () => {
  postgres = await postgresIn(scene)
  await postgres.start()
  admin = new Client({ connectionString: postgres.url })
  await admin.connect()
})
afterAll(() => admin.end())

/** A database as version 0.2 left it, with the statements of that version. */
async function yesterday() {
  const name = `old${databases++}`
  await admin.query(`create database ${name}`)
  const url = postgres.url.replace(/\/postgres$/, `/${name}`)
  const pool = new Pool({ connectionString: url, max: 4 })
  const old = {
    insert: (kind: string, id: string, row: object) =>
      pool.query(
        `insert into "hearth_row" ("kind", "id", "version", "row") values ($1, $2, nextval('hearth_version'), $3::jsonb)
         on conflict do nothing returning "version"`,
        [kind, id, JSON.stringify(row)],
      ),
    find: (kind: string, id: string) =>
      pool.query<{ version: string; row: { n: number } }>(
        'select "version", "row" from "hearth_row" where "kind" = $1 and "id" = $2',
        [kind, id],
      ),
    replace: (kind: string, id: string, version: string, row: object) =>
      pool.query(
        `update "hearth_row" set "version" = nextval('hearth_version'), "row" = $1::jsonb
         where "kind" = $2 and "id" = $3 and "version" = $4 returning "version"`,
        [JSON.stringify(row), kind, id, version],
      ),
    listOfAccount: (kind: string, account: string) =>
      pool.query(
        `select "id", "version", "row" from "hearth_row" where "kind" = $1 and row -> 'account' = to_jsonb($2::text)
         order by "id" limit $3`,
        [kind, account, 100],
      ),
  }
  const { '0001-rows-and-jobs': first } = MIGRATIONS
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) })
  const { error } = await new Migrator({
    db,
    provider: { getMigrations: async () => ({ '0001-rows-and-jobs': first! }) },
    migrationTableName: 'hearth_migration',
    migrationLockTableName: 'hearth_migration_lock',
  }).migrateToLatest()
  if (error !== undefined) throw error
  return { url, pool, old }
}

it('an instance of version 0.2 serves on while a new one migrates, and no write is lost', async () => {
  const { url, pool, old } = await yesterday()
  await pool.query(
    `insert into hearth_row select 'device', 'd' || n, nextval('hearth_version'), jsonb_build_object('account', 'a' || n)
     from generate_series(1, 100000) n`,
  )
  await old.insert('order', 'counter', { n: 0 })
  let over = false
  let increments = 0
  const oldWorker = async (name: string): Promise<void> => {
    for (let n = 0; !over; n++) {
      const { version, row } = (await old.find('order', 'counter')).rows[0]!
      if ((await old.replace('order', 'counter', version, { n: row.n + 1 })).rowCount === 1) increments++
      await old.insert('account', `${name}-${n}`, { account: name })
    }
  }
  const working = Promise.all(['one', 'two', 'three'].map(oldWorker))
  const store = await openStore(url)
  const table = store.table<{ n: number }>('order')
  for (let n = 0; n < 200; n++) {
    const seen = (await table.find('counter'))!
    if (await table.replace(seen, { n: seen.row.n + 1 })) increments++
  }
  over = true
  await working
  expect((await table.find('counter'))!.row.n).toBe(increments)
  expect(increments).toBeGreaterThan(200)
  expect(await store.table('device').list({ where: { account: 'a77777' }, limit: 9 })).toHaveLength(1)
  expect((await old.listOfAccount('device', 'a77777')).rowCount).toBe(1)
  // Each row is in the partition of its kind, whoever wrote it.
  const { rows } = await pool.query(
    'select distinct tableoid::regclass::text as part, kind from hearth_row order by kind',
  )
  expect(rows).toEqual([
    { part: 'hearth_row_account', kind: 'account' },
    { part: 'hearth_row_device', kind: 'device' },
    { part: 'hearth_row_order', kind: 'order' },
  ])
  await store.close()
  await pool.end()
})

it('a kind with very many rows stays where it is, and works', async () => {
  const { url, pool, old } = await yesterday()
  await pool.query(
    `insert into hearth_row select 'device', 'd' || n, nextval('hearth_version'), jsonb_build_object('account', 'a' || n)
     from generate_series(1, 200001) n`,
  )
  await old.insert('order', 'o1', { account: 'a1' })
  const store = await openStore(url)
  const devices = store.table<{ account: string }>('device')
  expect((await devices.find('d200001'))!.row).toMatchObject({ account: 'a200001' })
  expect(await devices.insert('new', { account: 'a1' })).toBeDefined()
  expect((await devices.list({ where: { account: 'a1' }, limit: 9 })).map(({ id }) => id)).toEqual(['d1', 'new'])
  const { rows } = await pool.query(
    'select distinct tableoid::regclass::text as part, kind from hearth_row order by kind',
  )
  expect(rows).toEqual([
    { part: 'hearth_row_other', kind: 'device' },
    { part: 'hearth_row_order', kind: 'order' },
  ])
  await store.close()
  await pool.end()
})
