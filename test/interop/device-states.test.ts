import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStore } from '../../src/store/postgres.ts'
import { type Postgres, postgresIn } from './support/postgres.ts'
import { openScene } from './support/scene.ts'

const scene = openScene()
let postgres: Postgres
let admin: Client
beforeAll(async () => {
  postgres = await postgresIn(scene)
  await postgres.start()
  admin = new Client({ connectionString: postgres.url })
  await admin.connect()
})
afterAll(() => admin.end())

it('devices of version 0.2 are listed by state, and found by index', async () => {
  await (await openStore(postgres.url)).close()
  // As that version left them.
  await admin.query(`delete from hearth_migration where name = '0003-device-states'`)
  await admin.query('drop index hearth_row_device_by_state')
  await admin.query(
    `insert into hearth_row select 'device', 'd' || n, nextval('hearth_version'),
       case when n % 1000 = 7 then jsonb_build_object('account', 'a' || n) else jsonb_build_object('n', n) end
     from generate_series(1, 50000) n`,
  )
  const store = await openStore(postgres.url)
  const devices = store.table<{ account?: string; state: string }>('device')
  const enrolled = await devices.list({ where: { state: 'enrolled' }, limit: 100 })
  expect(enrolled.length).toBe(50)
  expect(enrolled.every(({ row }) => row.account !== undefined)).toBe(true)
  expect((await devices.list({ where: { state: 'waiting' }, limit: 2 })).map(({ id }) => id)).toEqual(['d1', 'd10'])
  await admin.query('analyze hearth_row')
  const { rows } = await admin.query(
    `explain select id, version, row from hearth_row where kind = 'device' and id > 'd2'
     and row -> 'state' = to_jsonb('enrolled'::text) order by id limit 10`,
  )
  expect(JSON.stringify(rows)).toMatch(/Index Scan using hearth_row\w*(state|expr)\w*/)
  expect(JSON.stringify(rows)).not.toContain('Sort')
  await store.close()
})
