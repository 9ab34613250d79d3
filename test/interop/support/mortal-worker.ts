import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AccountRow, OrderRow } from '../../../src/acme/server/rows.ts'
import { systemClock as clock } from '../../../src/core/clock.ts'
import { createLog } from '../../../src/core/log.ts'
import type { Authority } from '../../../src/operator/authority/authority.ts'
import { authorityPool } from '../../../src/operator/authority/pool.ts'
import type { IssuanceRow, PublicationRow } from '../../../src/operator/publication/rows.ts'
import { createPublisher } from '../../../src/operator/publisher.ts'
import type { BudgetRow } from '../../../src/operator/schedule/budget.ts'
import { sharedBudgets } from '../../../src/operator/schedule/shared-budgets.ts'
import { createWorker } from '../../../src/operator/worker.ts'
import { parseCsr } from '../../../src/pki/csr.ts'
import { signLeaf } from '../../../src/pki/sign.ts'
import { openFileTable } from '../../../src/store/file-table.ts'
import { memoryJobs } from '../../../src/store/memory.ts'

/** What the pretend CA keeps in files of its own: it outlives its clients. */
export interface CaOrderRow {
  readonly names: readonly string[]
  readonly placedMs: number
  /** DER, base64. */
  readonly certificate?: string
}

/** `mortal-worker DIRECTORY`: works off the orders in its tables until all are valid. Made to be killed at any moment. */
const directory = process.argv[2]!
const table = <T>(name: string): ReturnType<typeof openFileTable<T>> => openFileTable<T>(join(directory, name))
const [keyPem, rootHex] = (await readFile(join(directory, 'ca.txt'), 'utf8')).split('\n\n') as [string, string]
const issuer = { certificate: Buffer.from(rootHex.trim(), 'hex'), keyPem: `${keyPem}\n` }
const atCa = await table<CaOrderRow>('ca')

/** Each step takes a moment, so that death finds every one of them. */
const moment = (): Promise<void> => clock.sleep(2 + Math.random() * 20)

const authority: Authority = {
  id: 'pretend',
  async issue(wish, attempt) {
    let url = attempt.order
    if (url === undefined && attempt.placingSinceMs !== undefined) {
      const placed = await atCa.list({ limit: 10_000 })
      url = placed.find(({ row }) => row.names.join() === wish.names.join())?.id
      if (url !== undefined) await attempt.placed(url)
    }
    if (url === undefined) {
      await attempt.placed()
      await moment()
      url = randomUUID()
      await atCa.insert(url, { names: wish.names, placedMs: clock.nowMs() })
      await moment()
      await attempt.placed(url)
    }
    await moment()
    const order = (await atCa.find(url))!
    if (order.row.certificate) return [Buffer.from(order.row.certificate, 'base64')]
    const { notBeforeMs, notAfterMs, names: dnsNames } = wish
    const der = await signLeaf({ issuer, spki: parseCsr(wish.csr).spki, dnsNames, notBeforeMs, notAfterMs })
    await atCa.replace(order, { ...order.row, certificate: Buffer.from(der).toString('base64') })
    await moment()
    return [der]
  },
}

const log = createLog('silent')
const orders = await table<OrderRow>('order')
const budgets = sharedBudgets({
  table: await table<BudgetRow>('budget'),
  limits: new Map([['pretend', { ordersPer3h: 1_000_000, concurrent: 1_000 }]]),
  urgentShare: 0.2,
  clock,
})
const jobs = memoryJobs()
const publisher = createPublisher({
  accounts: await table<AccountRow>('account'),
  orders,
  publications: await table<PublicationRow>('publication'),
  issuances: await table<IssuanceRow>('issuance'),
  jobs,
  pool: authorityPool({
    members: [{ authority, kind: 'acme' }],
    budgets,
    renewalsPerMinuteMax: 1_000_000,
    clock,
    log,
  }),
  singleLifetimeS: 86_400,
  spread: 0.2,
  clock,
  log,
})
await publisher.resume()
process.stdout.write('at work\n')
const stop = new AbortController()
const running = createWorker({ jobs, publisher, clock, log }).run(stop.signal)
while ((await orders.list({ where: { status: 'processing' }, limit: 1 })).length > 0) await clock.sleep(20)
stop.abort()
await running
process.stdout.write('done\n')
