import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import type { AccountRow, OrderRow } from '../../../src/acme/server/rows.ts'
import { fromBase64url, toBase64url } from '../../../src/core/bytes.ts'
import { Fault } from '../../../src/core/fault.ts'
import { createLog } from '../../../src/core/log.ts'
import type { Jobs, Table } from '../../../src/core/table.ts'
import { authorityPool } from '../../../src/operator/authority/pool.ts'
import type { IssuanceRow, PublicationRow } from '../../../src/operator/publication/rows.ts'
import { createPublisher } from '../../../src/operator/publisher.ts'
import type { BudgetRow } from '../../../src/operator/schedule/budget.ts'
import { sharedBudgets } from '../../../src/operator/schedule/shared-budgets.ts'
import { fromPem, parseCertificate } from '../../../src/pki/certificate.ts'
import { createCsr, parseCsr } from '../../../src/pki/csr.ts'
import { generateKey, sameKey } from '../../../src/pki/key.ts'
import { openFileTable } from '../../../src/store/file-table.ts'
import { memoryJobs, memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { type FakeCa, fakeCa } from './fake-authority.ts'

const NAME = 'cpe-1.cpe.example'
const DAY_MS = 86_400_000
const START_MS = Date.UTC(2027, 0, 10)
/** Certificates of four days are renewed halfway; the first was not issued in the first minute. */
const RENEWAL_MS = 2 * DAY_MS + 3_600_000
/** Enough for every step of the longest story; a story without end is a bug. */
const CRASHES_MAX = 200

const csr = toBase64url(await createCsr({ keyPem: await generateKey('p256'), dnsNames: [NAME] }))

interface Tables {
  readonly accounts: Table<AccountRow>
  readonly orders: Table<OrderRow>
  readonly publications: Table<PublicationRow>
  readonly issuances: Table<IssuanceRow>
  readonly budgets: Table<BudgetRow>
}

class Crash extends Error {}

/** A process that dies at its n-th step: from then on nothing it does has any effect. */
class Mortal {
  readonly steps: string[] = []
  readonly #diesAt: number

  constructor(diesAt: number) {
    this.#diesAt = diesAt
  }
  readonly step = (what: string): void => {
    if (!this.isDead) this.steps.push(what)
    if (this.isDead) throw new Crash(what)
  }
  get isDead(): boolean {
    return this.steps.length >= this.#diesAt
  }
  table<T>(name: string, table: Table<T>): Table<T> {
    return {
      ...table,
      insert: (id, row) => this.#around(`${name} insert`, () => table.insert(id, row)),
      replace: (seen, row) => this.#around(`${name} replace`, () => table.replace(seen, row)),
      remove: (seen) => this.#around(`${name} remove`, () => table.remove(seen)),
    }
  }
  jobs(jobs: Jobs): Jobs {
    return {
      ...jobs,
      put: (job, dueMs) => this.#around('job put', () => jobs.put(job, dueMs)),
      finish: (job, dueMs) => this.#around('job finish', () => jobs.finish(job, dueMs)),
    }
  }
  async #around<T>(what: string, write: () => Promise<T>): Promise<T> {
    this.step(`before ${what}`)
    const written = await write()
    this.step(`after ${what}`)
    return written
  }
}

/** One life of a worker over what is left of the ones before it: works off what is due, until it dies or nothing is. */
async function live(
  mortal: Mortal,
  tables: Tables,
  jobs: Jobs,
  cas: readonly FakeCa[],
  clock: ManualClock,
): Promise<void> {
  const log = createLog('silent')
  const limits = new Map(cas.map(({ id }) => [id, { ordersPer3h: 100, concurrent: 10 }]))
  const publisher = createPublisher({
    accounts: tables.accounts,
    orders: mortal.table('order', tables.orders),
    publications: mortal.table('publication', tables.publications),
    issuances: mortal.table('issuance', tables.issuances),
    jobs: mortal.jobs(jobs),
    pool: authorityPool({
      members: cas.map((ca) => ({ authority: ca.client(mortal.step), kind: 'acme' })),
      budgets: sharedBudgets({ table: mortal.table('budget', tables.budgets), limits, urgentShare: 0.2, clock }),
      renewalsPerMinuteMax: 100,
      clock,
      log,
    }),
    singleLifetimeS: 7 * 86_400,
    spread: 0,
    clock,
    log,
  })
  await publisher.resume().catch(onlyCrash)
  for (let turn = 0; turn < 20 && !mortal.isDead; turn++) {
    // A lease of the dead is over by now; so is every wait.
    const due = await jobs.take(clock.nowMs(), 1, 10)
    if (due.length === 0) return
    for (const job of due) if (!mortal.isDead) await publisher.work(job, new AbortController().signal).catch(onlyCrash)
    clock.step(60_000)
  }
}

function onlyCrash(error: unknown): void {
  if (!(error instanceof Crash)) throw error
}

async function story(
  open: () => Promise<Tables>,
  cas: (clock: ManualClock) => Promise<readonly FakeCa[]>,
  diesAt: number,
) {
  const clock = new ManualClock(START_MS)
  const tables = await open()
  const jobs = memoryJobs()
  const authorities = await cas(clock)
  await tables.accounts.insert('account-1', {
    status: 'valid',
    jwk: { kty: 'EC' },
    contact: [],
    termsOfServiceAgreed: true,
  })
  await tables.orders.insert('order-1', {
    account: 'account-1',
    status: 'processing',
    identifiers: [NAME],
    delegation: NAME,
    star: true,
    autoRenewal: { startMs: START_MS, endMs: START_MS + 40 * DAY_MS, lifetimeS: 4 * 86_400, lifetimeAdjustS: 0 },
    allowCertificateGet: true,
    expiresMs: START_MS + 40 * DAY_MS,
    csr,
  })
  const mortal = new Mortal(diesAt)
  await live(mortal, tables, jobs, authorities, clock)
  if (!mortal.isDead) {
    // Nothing is left of the first certificate: now the renewal, in the same life.
    clock.step(RENEWAL_MS)
    await live(mortal, tables, jobs, authorities, clock)
  }
  const crashed = mortal.isDead
  // Whoever comes after does not die.
  clock.step(60_000)
  await live(new Mortal(Infinity), tables, jobs, authorities, clock)
  if (clock.nowMs() < START_MS + RENEWAL_MS) {
    clock.step(RENEWAL_MS)
    await live(new Mortal(Infinity), tables, jobs, authorities, clock)
  }
  return { tables, jobs, authorities, crashed, steps: mortal.steps }
}

/** What must be true however often it crashed. */
async function judge({ tables, jobs, authorities }: Awaited<ReturnType<typeof story>>): Promise<void> {
  const order = (await tables.orders.find('order-1'))!.row
  expect(order.status).toBe('valid')
  const publications = await tables.publications.list({ limit: 10 })
  expect(publications.map(({ id }) => id)).toEqual([order.certificate])
  const { row } = publications[0]!
  expect([row.edition, row.index]).toEqual([2, 1])
  const leaf = parseCertificate(fromPem(row.pem)[0]!)
  expect(leaf.dnsNames).toEqual([NAME])
  expect(sameKey(leaf.spki, parseCsr(fromBase64url(csr)!).spki)).toBe(true)
  // What a crash right after publishing leaves behind is of the past; the next renewal clears it away.
  const wanted = (await tables.issuances.list({ limit: 10 })).filter(({ row: { edition } }) => edition > 2)
  expect(wanted).toEqual([])
  const left = (await jobs.take(Number.MAX_SAFE_INTEGER, 1, 10)).filter((job) => job !== 'sweep')
  expect(left).toEqual([`renew/${order.certificate}`])
  // Two certificates were wanted. Whoever issues has placed exactly as many orders as certificates are his.
  const issuing = authorities.flatMap((ca) => [...ca.orders.values()].filter(({ certificate }) => certificate))
  expect(issuing.length).toBe(2)
}

const memory = async (): Promise<Tables> => ({
  accounts: memoryTable(),
  orders: memoryTable(),
  publications: memoryTable(),
  issuances: memoryTable(),
  budgets: memoryTable(),
})

const directories: string[] = []
const files = async (): Promise<Tables> => {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-crash-'))
  directories.push(directory)
  return {
    accounts: await openFileTable(join(directory, 'account')),
    orders: await openFileTable(join(directory, 'order')),
    publications: await openFileTable(join(directory, 'publication')),
    issuances: await openFileTable(join(directory, 'issuance')),
    budgets: await openFileTable(join(directory, 'budget')),
  }
}
afterAll(() => Promise.all(directories.map((directory) => rm(directory, { recursive: true }))))

/** The same story again and again, dying one step later each time, until it is over before it dies. */
async function dieEverywhere(
  open: () => Promise<Tables>,
  cas: (clock: ManualClock) => Promise<readonly FakeCa[]>,
  check: (told: Awaited<ReturnType<typeof story>>) => Promise<void>,
): Promise<readonly string[]> {
  for (let diesAt = 1; diesAt <= CRASHES_MAX; diesAt++) {
    const told = await story(open, cas, diesAt)
    try {
      await judge(told)
      await check(told)
    } catch (error) {
      throw new Error(`it died at step ${diesAt}, ${told.steps.at(-1)}, after: ${told.steps.join('; ')}`, {
        cause: error,
      })
    }
    if (!told.crashed) return told.steps
  }
  throw new Error('the story has no end')
}

describe('a worker that dies before or after any write and any call', () => {
  const one = async (clock: ManualClock): Promise<readonly FakeCa[]> => [await fakeCa('primary', () => clock.nowMs())]

  it.each([
    ['memory', memory],
    ['files', files],
  ])('loses no order and places none twice (%s)', { timeout: 60_000 }, async (_name, open) => {
    const steps = await dieEverywhere(open, one, async ({ authorities }) => {
      expect(authorities[0]!.orders.size).toBe(2)
    })
    // The story passes through everything that can be written or asked.
    for (const what of [
      'before order replace',
      'after publication insert',
      'after publication replace',
      'before issuance insert',
      'after issuance replace',
      'after issuance remove',
      'before budget replace',
      'before job put',
      'after job finish',
      'primary new order',
      'primary finalized',
    ])
      expect(steps).toContain(what)
    expect(steps.length).toBeGreaterThanOrEqual(50)
  })

  it('leaves a primary that is out only after that is written down, and places one order at the backup', {
    timeout: 60_000,
  }, async () => {
    const steps = await dieEverywhere(
      memory,
      async (clock) => {
        const [primary, backup] = await Promise.all(['primary', 'backup'].map((id) => fakeCa(id, () => clock.nowMs())))
        primary!.failure = new Fault('ACME_UNREACHABLE', 'connection refused')
        return [primary!, backup!]
      },
      async ({ authorities }) => {
        expect(authorities.map(({ orders }) => orders.size)).toEqual([0, 2])
      },
    )
    const left = steps.indexOf('backup new order')
    expect(steps.slice(0, left).filter((step) => step === 'after issuance replace').length).toBeGreaterThanOrEqual(3)
  })

  it('gives a refused order to the next authority, once', { timeout: 60_000 }, async () => {
    await dieEverywhere(
      memory,
      async (clock) => {
        const [primary, backup] = await Promise.all(['primary', 'backup'].map((id) => fakeCa(id, () => clock.nowMs())))
        primary!.failure = new Fault('ACME_REFUSED', 'caa: not this CA', { type: 'caa', status: 403 })
        return [primary!, backup!]
      },
      async ({ authorities }) => {
        expect(authorities.map(({ orders }) => orders.size)).toEqual([0, 2])
      },
    )
  })
})
