import { beforeEach, describe, expect, it } from 'vitest'
import type { AccountRow, OrderRow } from '../../../src/acme/server/rows.ts'
import { toBase64url } from '../../../src/core/bytes.ts'
import { Fault } from '../../../src/core/fault.ts'
import { createLog } from '../../../src/core/log.ts'
import type { AuditEvent } from '../../../src/operator/audit/entry.ts'
import type { ForwardedOrder, ForwardingAuthority } from '../../../src/operator/authority/authority.ts'
import type { IssuanceRow, PublicationRow } from '../../../src/operator/publication/rows.ts'
import { createPublisher } from '../../../src/operator/publisher.ts'
import { memoryJobs, memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { poolOf } from '../support/pool.ts'

const TERMS = { endMs: Date.UTC(2027, 1, 10), lifetimeS: 4 * 86_400, lifetimeAdjustS: 3_600 }
const CERTIFICATE_URL = 'https://ca.example/star/Zk3v0mW1b6s2'

/** A CA that does STAR, where orders are placed, and which dies at a step when told to. */
function createWorld() {
  const clock = new ManualClock(Date.UTC(2027, 0, 10))
  const orders = memoryTable<OrderRow>()
  const publications = memoryTable<PublicationRow>()
  const issuances = memoryTable<IssuanceRow>()
  const accounts = memoryTable<AccountRow>()
  const jobs = memoryJobs()
  const placed: ForwardedOrder[] = []
  const canceled: string[] = []
  const events: AuditEvent[] = []
  const world = {
    clock,
    orders,
    publications,
    issuances,
    jobs,
    placed,
    canceled,
    events,
    failure: undefined as Error | undefined,
    failureAfterPlacing: undefined as Error | undefined,
  }
  const star: ForwardingAuthority = {
    id: 'star-ca',
    async forward(order, attempt) {
      if (world.failure) throw world.failure
      if (attempt.order === undefined) {
        await attempt.placed()
        placed.push(order)
        await attempt.placed('https://ca.example/order/1')
      }
      if (world.failureAfterPlacing) throw world.failureAfterPlacing
      return { orderUrl: 'https://ca.example/order/1', certificateUrl: CERTIFICATE_URL }
    },
    async cancel(orderUrl) {
      canceled.push(orderUrl)
    },
  }
  const publisher = createPublisher({
    accounts,
    orders,
    publications,
    issuances,
    jobs,
    pool: poolOf(clock, { id: 'unused', issue: () => Promise.reject(new Error('nobody asks it')) }),
    audit: { record: async (event) => void events.push(event) },
    forwardTo: () => star,
    singleLifetimeS: 86_400,
    spread: 0,
    clock,
    log: createLog('silent'),
  })
  return Object.assign(world, { accounts, publisher })
}

const signal = AbortSignal.timeout(60_000)
let world: ReturnType<typeof createWorld>
beforeEach(async () => {
  world = createWorld()
  const account: AccountRow = { status: 'valid', jwk: { kty: 'EC' }, contact: [], termsOfServiceAgreed: true }
  await world.accounts.insert('account', account)
  await world.orders.insert('order-1', {
    account: 'account',
    status: 'processing',
    identifiers: ['cpe-1.cpe.example'],
    delegation: 'cpe-1.cpe.example',
    star: true,
    autoRenewal: TERMS,
    allowCertificateGet: true,
    expiresMs: TERMS.endMs,
    csr: toBase64url(Uint8Array.of(1, 2, 3)),
  })
})
const ABOUT = { by: 'service', account: 'account', order: 'order-1', device: 'cpe-1.cpe.example' }
const order = async (): Promise<OrderRow> => (await world.orders.find('order-1'))!.row
const work = (): Promise<void> => world.publisher.work('issue/order-1', signal)

describe('an order for a CA that does STAR itself (RFC 9115 §2.3.2)', () => {
  it('is passed on as it is, and becomes valid with the URL of the CA', async () => {
    await work()
    expect(await order()).toMatchObject({ status: 'valid', certificateUrl: CERTIFICATE_URL })
    expect(world.placed).toEqual([{ names: ['cpe-1.cpe.example'], csr: Buffer.from([1, 2, 3]), autoRenewal: TERMS }])
    expect(await world.publications.list({ limit: 1 })).toEqual([])
    expect(await world.jobs.take(Number.MAX_SAFE_INTEGER, 1, 10)).toEqual([])
  })

  it('is placed once, though the worker fails after placing it', async () => {
    world.failureAfterPlacing = new Fault('ACME_UNREACHABLE', 'connection reset')
    await work()
    expect((await order()).status).toBe('processing')
    world.failureAfterPlacing = undefined
    await work()
    await work()
    expect((await order()).status).toBe('valid')
    expect(world.placed.length).toBe(1)
    expect(world.events).toEqual([{ event: 'order-forwarded', ...ABOUT, authority: 'star-ca' }])
  })

  it('becomes invalid with allow-certificate-get false when the CA does not allow GET (RFC 9115 §2.2)', async () => {
    world.failure = new Fault('AUTHORITY_WITHOUT_GET', 'no allow-certificate-get')
    await work()
    expect(await order()).toMatchObject({ status: 'invalid', allowCertificateGet: false, error: { status: 500 } })
    expect(world.placed).toEqual([])
    const reason = 'no allow-certificate-get'
    expect(world.events).toEqual([{ event: 'order-failed', ...ABOUT, authority: 'star-ca', reason }])
  })

  it('fails after enough tries, keeping the flag', async () => {
    world.failure = new Fault('ACME_UNREACHABLE', 'connection refused')
    for (let turn = 0; turn < 20; turn++) await work()
    expect(await order()).toMatchObject({ status: 'invalid', allowCertificateGet: true })
    expect(world.events).toEqual([{ event: 'order-failed', ...ABOUT, reason: 'connection refused' }])
  })

  it('is cancelled at the CA, by the URL it was placed at', async () => {
    await work()
    await world.publisher.cancel('order-1', 'superseded', signal)
    expect(world.canceled).toEqual(['https://ca.example/order/1'])
    expect((await order()).status).toBe('canceled')
  })
})
