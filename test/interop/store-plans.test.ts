import { Client } from 'pg'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openStore, type Store } from '../../src/store/postgres.ts'
import type { Daemon } from './support/daemon.ts'
import { postgresIn } from './support/postgres.ts'
import { openScene } from './support/scene.ts'

/** Enough that the planner would not choose an index for want of another idea. */
const ROWS = 50_000
/** After five runs of a prepared statement the server may settle on one plan for all values. */
const RUNS = 12

const scene = openScene()
let server: Daemon
let client: Client
let store: Store

beforeAll(async () => {
  const postgres = await postgresIn(scene)
  server = await postgres.start(
    'session_preload_libraries=auto_explain',
    'auto_explain.log_min_duration=0',
    'log_min_duration_statement=-1',
    'autovacuum=off',
    'jit=off',
  )
  store = await openStore(postgres.url)
  client = new Client({ connectionString: postgres.url })
  await client.connect()
  for (const kind of ['account', 'account-key', 'device', 'order', 'publication', 'budget', 'used-nonce', 'other'])
    await client.query(
      `insert into hearth_row select '${kind}', 'id-' || lpad(n::text, 6, '0'), nextval('hearth_version'),
         jsonb_build_object('account', 'a' || n % 5000, 'status', case when n % 5000 = 0 then 'processing' else 'valid' end)
       from generate_series(1, ${ROWS}) n`,
    )
  await client.query(
    `insert into hearth_job (queue, id, due_ms) select 'jobs', 'job-' || n, n * 1000 from generate_series(1, ${ROWS}) n`,
  )
  await client.query('vacuum analyze')
})

afterAll(async () => {
  await client.end()
  await store.close()
})

/** The plans the server used for what happened meanwhile. */
async function plansOf(work: () => Promise<unknown>): Promise<string> {
  const before = server.output().length
  await work()
  // What the server says comes in order, so after this all of it is here.
  await client.query(`do $$ begin raise warning 'until here'; end $$`)
  await server.until(async () => expect(server.output().slice(before)).toContain('until here'))
  return server.output().slice(before)
}

function expectOneIndexScanEach(plans: string): void {
  expect(plans).toContain('plan:')
  expect(plans).not.toMatch(/Seq Scan|Sort|Bitmap|Append|Hash/)
}

it.each(['account', 'account-key', 'device', 'order', 'publication', 'budget', 'used-nonce', 'other'])(
  'finds, replaces, removes and inserts a row of kind %s by one index, in one partition',
  async (kind) => {
    const table = store.table<{ readonly n: number }>(kind)
    const plans = await plansOf(async () => {
      for (let n = 1; n <= RUNS; n++) {
        const [seen] = await Promise.all(
          [n, n + 1000, n + 2000].map((nth) => table.find(`id-${String(nth).padStart(6, '0')}`)),
        )
        expect(await table.replace(seen!, { n })).toBeDefined()
        expect(await table.insert(`new-${n}`, { n })).toBeDefined()
        expect(await table.remove((await table.find(`new-${n}`))!)).toBe(true)
      }
    })
    expectOneIndexScanEach(plans)
  },
)

it.each(['device', 'order', 'publication'])('lists the rows of kind %s that one account has by index', async (kind) => {
  const plans = await plansOf(async () => {
    const found = await store.table(kind).list({ where: { account: 'a77' }, after: 'id-000100', limit: 20 })
    expect(found).toHaveLength(ROWS / 5000 - 1)
  })
  // Some ten rows of an account: sorting them is as good as reading them in order.
  expect(plans).toContain('_by_account')
  expect(plans).not.toMatch(/Seq Scan|Append/)
})

it('finds the orders that are processing by an index of these alone', async () => {
  const plans = await plansOf(() => store.table('order').list({ where: { status: 'processing' }, limit: 500 }))
  expect(plans).toContain('hearth_row_order_processing')
  expectOneIndexScanEach(plans)
})

it('reads a page of a list, and removes a batch, by index', async () => {
  const plans = await plansOf(async () => {
    await store.table('device').list({ after: 'id-020000', limit: 100 })
    for (let n = 0; n < RUNS; n++) await store.table('order').removeUpTo(`id-0000${n + 20}`)
  })
  expect(plans).toContain('Index Scan')
  expect(plans).not.toMatch(/Seq Scan|Append|Hash/)
})

it('takes, extends, puts and ends jobs by index', async () => {
  const jobs = store.jobs()
  const plans = await plansOf(async () => {
    for (let n = 0; n < RUNS; n++) {
      const [job] = await jobs.take(100_000_000, 20_000, 8)
      await jobs.extend(job!, 100_000_000, 20_000)
      await jobs.put(job!, 5)
      await jobs.finish(job!)
      await jobs.finish(job!, 100_000_000)
    }
  })
  expect(plans).toContain('hearth_job_by_due')
  expect(plans).not.toMatch(/Seq Scan|Sort|Bitmap|Hash/)
})
