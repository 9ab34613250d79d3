import { beforeEach, describe, expect, it } from 'vitest'
import { toBase64url } from '../../../src/core/bytes.ts'
import { Fault } from '../../../src/core/fault.ts'
import type { AuditEvent } from '../../../src/operator/audit/entry.ts'
import type { Authority, CertificateWish } from '../../../src/operator/authority/authority.ts'
import type { AuthorityPool } from '../../../src/operator/authority/pool.ts'
import { Overtaken } from '../../../src/operator/publication/attempt.ts'
import { issuances, NotNow, type Wanted } from '../../../src/operator/publication/issuance.ts'
import type { IssuanceRow } from '../../../src/operator/publication/rows.ts'
import { createCsr } from '../../../src/pki/csr.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { limitedPool } from '../support/pool.ts'
import { type FakeCa, fakeCa } from './fake-authority.ts'

const NAME = 'cpe-1.cpe.example'
const START_MS = Date.UTC(2027, 0, 10)
const TERMS = { kind: 'star', startMs: START_MS, endMs: START_MS + 1e9, lifetimeS: 86_400, lifetimeAdjustS: 0 } as const
const csr = toBase64url(await createCsr({ keyPem: await generateKey('p256'), dnsNames: [NAME] }))
const signal = AbortSignal.timeout(60_000)
const unreachable = new Fault('ACME_UNREACHABLE', 'connection refused')

let clock: ManualClock
let table: ReturnType<typeof memoryTable<IssuanceRow>>
let primary: FakeCa
let backup: FakeCa
/** Called at each step of a client at its CA. */
let atStep: (what: string) => void
let events: AuditEvent[]
beforeEach(async () => {
  clock = new ManualClock(START_MS)
  table = memoryTable()
  primary = await fakeCa('primary', () => clock.nowMs())
  backup = await fakeCa('backup', () => clock.nowMs())
  atStep = () => {}
  events = []
})

const wanted: Wanted = {
  publication: 'publication',
  edition: 1,
  names: [NAME],
  csr,
  urgency: 1,
  terms: () => ({ terms: TERMS, index: 0 }),
}
const client = (ca: FakeCa): Authority => ca.client((what) => atStep(what))
const over = (pool: AuthorityPool): ReturnType<typeof issuances> =>
  issuances({ table, pool, clock, audit: { record: async (event) => void events.push(event) } })
const row = async (): Promise<IssuanceRow> => (await table.find('publication'))!.row

describe('an order that is under way', () => {
  it('stays where it is through an outage when there is nobody else, and is gone on with', async () => {
    const issuance = over(limitedPool(clock, [client(primary)], {}))
    atStep = (what) => {
      if (what === 'primary finalize') primary.failure = unreachable
    }
    await expect(issuance.obtain(wanted, signal)).rejects.toMatchObject({ code: 'AUTHORITY_UNAVAILABLE' })
    expect((await row()).attempt).toMatchObject({ authority: 'primary', order: 'https://primary.example/order/1' })
    atStep = () => {}
    primary.failure = undefined
    clock.step(60_000)
    expect((await issuance.obtain(wanted, signal)).authority).toBe('primary')
    expect(primary.orders.size).toBe(1)
  })

  it('is left for the backup when the primary goes out, which is written down first', async () => {
    const issuance = over(limitedPool(clock, [client(primary), client(backup)], {}))
    let atBackup: IssuanceRow | undefined
    atStep = (what) => {
      if (what === 'primary finalize') primary.failure = unreachable
      if (what === 'backup new order') void row().then((seen) => (atBackup = seen))
    }
    expect((await issuance.obtain(wanted, signal)).authority).toBe('backup')
    expect(atBackup).toMatchObject({ passedOver: ['primary'], attempt: { authority: 'backup' } })
    expect([primary.orders.size, backup.orders.size]).toEqual([1, 1])
    // On record as a switch of authorities, once for all orders.
    expect(events).toEqual([])
  })

  it('stays where it is when our own DNS fails: no other CA would see more', async () => {
    const issuance = over(limitedPool(clock, [client(primary), client(backup)], {}))
    atStep = (what) => {
      if (what === 'primary finalize') throw new Fault('DNS_UPDATE_REFUSED', 'the zone is frozen')
    }
    await expect(issuance.obtain(wanted, signal)).rejects.toMatchObject({ code: 'DNS_UPDATE_REFUSED' })
    atStep = () => {}
    expect((await issuance.obtain(wanted, signal)).authority).toBe('primary')
    expect([primary.orders.size, backup.orders.size]).toEqual([1, 0])
  })

  it('stays where it is when this worker is told to stop', async () => {
    const stop = new AbortController()
    const issuance = over(limitedPool(clock, [client(primary), client(backup)], {}))
    atStep = (what) => {
      if (what !== 'primary finalize') return
      stop.abort()
      throw new Error('stopped')
    }
    await expect(issuance.obtain(wanted, stop.signal)).rejects.toThrow('stopped')
    expect((await row()).attempt?.order).toBeDefined()
    expect((await row()).passedOver).toEqual([])
  })

  it('whose URL was lost is not mistaken for that of another try for the same names', async () => {
    const issuance = over(limitedPool(clock, [client(primary)], {}))
    const other: Wanted = { ...wanted, publication: 'another publication' }
    atStep = (what) => {
      if (what === 'primary order placed') throw new Error('crash')
    }
    await expect(issuance.obtain(wanted, AbortSignal.abort())).rejects.toThrow('crash')
    atStep = (what) => {
      if (what === 'primary finalize') primary.failure = unreachable
    }
    await expect(issuance.obtain(other, signal)).rejects.toMatchObject({ code: 'AUTHORITY_UNAVAILABLE' })
    expect((await table.find('another publication'))!.row.attempt?.order).toBe('https://primary.example/order/2')
    primary.failure = undefined
    atStep = () => {}
    clock.step(60_000)
    await issuance.obtain(wanted, signal)
    expect((await row()).attempt?.order).toBe('https://primary.example/order/1')
    await issuance.obtain(other, signal)
    expect(primary.orders.size).toBe(2)
  })

  it('is not touched any more by a worker that another one has overtaken', async () => {
    const issuance = over(limitedPool(clock, [client(primary)], {}))
    const second: Promise<unknown>[] = []
    atStep = (what) => {
      if (what !== 'primary order placed' || second.length > 0) return
      // The lease ran out while the first was placing its order.
      second.push(
        over(limitedPool(clock, [client(primary)], {}))
          .obtain(wanted, signal)
          .catch((error: unknown) => error),
      )
    }
    const first = await issuance.obtain(wanted, signal).catch((error: unknown) => error)
    const outcomes = [first, ...(await Promise.all(second))]
    // Whoever wrote first goes on, the other leaves it alone.
    expect(outcomes.filter((outcome) => outcome instanceof Overtaken)).toHaveLength(1)
    expect(primary.orders.size).toBe(1)
  })
})

describe('a certificate that is not what was asked for', () => {
  const forger = (id: string): Authority => ({
    id,
    async issue(wish: CertificateWish, attempt) {
      const other = await createCsr({ keyPem: await generateKey('p256'), dnsNames: [NAME] })
      return client(primary).issue({ ...wish, csr: other }, attempt)
    },
  })

  it('is refused, counted as a failure of that authority, and asked of the next', async () => {
    const pool = limitedPool(clock, [forger('forger'), client(backup)], {})
    expect((await over(pool).obtain(wanted, signal)).authority).toBe('backup')
    expect(pool.status()[0]).toMatchObject({
      id: 'forger',
      failed: 1,
      issued: 0,
      lastError: { reason: 'the certificate is for another key than ours' },
    })
    expect(events).toEqual([
      {
        event: 'authority-passed-over',
        by: 'service',
        device: NAME,
        authority: 'forger',
        reason: 'the certificate is for another key than ours',
      },
    ])
  })

  it('from everybody is a failure that names them all, and the next try begins anew', async () => {
    const issuance = over(limitedPool(clock, [forger('forger')], {}))
    await expect(issuance.obtain(wanted, signal)).rejects.toMatchObject({
      code: 'AUTHORITY_UNAVAILABLE',
      message: expect.stringContaining('forger: the certificate is for another key than ours'),
    })
    expect(await row()).toEqual({ edition: 1, failures: 0, passedOver: [], names: NAME })
  })
})

describe('a budget that is used up', () => {
  it('is no failure: it says when there is room again, and nothing has begun', async () => {
    const limits = { primary: { ordersPer3h: 1 } }
    const issuance = over(limitedPool(clock, [client(primary)], { limits }))
    await issuance.obtain({ ...wanted, publication: 'other' }, signal)
    const waiting = await issuance.obtain(wanted, signal).catch((error: unknown) => error)
    expect(waiting).toBeInstanceOf(NotNow)
    expect((waiting as NotNow).untilMs).toBeGreaterThan(clock.nowMs() + 9_000_000)
    expect((await row()).attempt).toBeUndefined()
    expect(primary.orders.size).toBe(1)
  })
})
