import { expect, it } from 'vitest'
import type { OrderRow } from '../../../src/acme/server/rows.ts'
import { endedRows } from '../../../src/operator/publication/ended.ts'
import type { IssuanceRow, PublicationRow } from '../../../src/operator/publication/rows.ts'
import { memoryTable } from '../../../src/store/memory.ts'

const DAY_MS = 86_400_000
const NOW_MS = Date.UTC(2027, 0, 10)

const order = (expiresMs: number): OrderRow => ({
  account: 'account',
  status: 'valid',
  identifiers: ['cpe-1.cpe.example'],
  delegation: 'cpe-1.cpe.example',
  star: true,
  allowCertificateGet: true,
  expiresMs,
})
const publication = (endMs: number, notAfterMs: number, canceled = false): PublicationRow => ({
  account: 'account',
  names: ['cpe-1.cpe.example'],
  csr: '',
  getAllowed: true,
  terms: { kind: 'star', startMs: 0, endMs, lifetimeS: 86_400, lifetimeAdjustS: 0 },
  index: 0,
  pem: '',
  notBeforeMs: 0,
  notAfterMs,
  ...(canceled ? { canceled } : {}),
})

it('removes what is over, orders after their publications, and nothing that may still be asked for', async () => {
  const orders = memoryTable<OrderRow>()
  const publications = memoryTable<PublicationRow>()
  const issuances = memoryTable<IssuanceRow>()
  const [past, future] = [NOW_MS - DAY_MS, NOW_MS + DAY_MS]
  await orders.insert('over', order(past))
  await orders.insert('canceled', order(past))
  await orders.insert('unused', order(past))
  await orders.insert('valid', order(future))
  await orders.insert('expired but in use', order(past))
  await publications.insert('p-over', publication(past, past))
  await publications.insert('p-canceled', publication(future, past, true))
  await publications.insert('p-canceled and still good', publication(future, future, true))
  await publications.insert('p-valid', publication(future, past))
  await publications.insert('p-expired but in use', publication(future, future))
  await issuances.insert('p-over', { edition: 1, failures: 0, passedOver: [] })
  const ended = endedRows({ orders, publications, issuances, publicationId: (id) => `p-${id}` })
  let removed = 0
  for (let round = 0; round < 3; round++) removed += (await ended.sweep(NOW_MS)).removed
  expect(removed).toBe(5)
  expect((await orders.list({ limit: 10 })).map(({ id }) => id)).toEqual(['expired but in use', 'valid'])
  expect((await publications.list({ limit: 10 })).map(({ id }) => id)).toEqual([
    'p-canceled and still good',
    'p-expired but in use',
    'p-valid',
  ])
  expect(await issuances.list({ limit: 10 })).toEqual([])
})

it('goes through a large table batch by batch', async () => {
  const orders = memoryTable<OrderRow>()
  for (let index = 0; index < 1_200; index++) await orders.insert(`order-${index}`, order(NOW_MS - DAY_MS))
  const ended = endedRows({
    orders,
    publications: memoryTable<PublicationRow>(),
    issuances: memoryTable<IssuanceRow>(),
    publicationId: (id) => id,
  })
  const removed: number[] = []
  for (let round = 0; round < 4; round++) removed.push((await ended.sweep(NOW_MS)).removed)
  expect(removed).toEqual([500, 500, 200, 0])
})
