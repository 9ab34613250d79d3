import { beforeEach, describe, expect, it } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import type { Authority } from '../../../src/operator/authority/authority.ts'
import { blameFor } from '../../../src/operator/authority/blame.ts'
import type { AuthorityPool, FailOver, PoolRequest } from '../../../src/operator/authority/pool.ts'
import type { HealthRow } from '../../../src/operator/authority/shared-health.ts'
import type { BudgetRow } from '../../../src/operator/schedule/budget.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { limitedPool, poolOf } from '../support/pool.ts'

const authority = (id: string): Authority => ({ id, issue: async () => [] })
const request = (holder: string, more: Partial<PoolRequest> = {}): PoolRequest => ({
  holder,
  names: [`${holder}.cpe.example`],
  urgency: 0,
  passedOver: [],
  ...more,
})
const unreachable = new Fault('ACME_UNREACHABLE', 'connection refused')

let clock: ManualClock
beforeEach(() => {
  clock = new ManualClock()
})

/** Who would be asked now; the try ends well at once. */
async function ask(pool: AuthorityPool, holder: string, more: Partial<PoolRequest> = {}): Promise<string> {
  const choice = await pool.choose(request(holder, more))
  if (choice.kind === 'none') return choice.because
  await pool.succeeded(choice.authority.id, holder)
  return choice.authority.id
}
async function fail(pool: AuthorityPool, holder: string, error: unknown): Promise<string> {
  const choice = await pool.choose(request(holder))
  if (choice.kind === 'none') return choice.because
  await pool.failed(choice.authority.id, holder, error)
  return choice.authority.id
}

describe('fail-over', () => {
  it('goes to the backup at once when the primary cannot be reached, and says so', async () => {
    const pool = poolOf(clock, authority('primary'), authority('backup'))
    await fail(pool, 'a', unreachable)
    expect(await ask(pool, 'b')).toBe('backup')
    expect(pool.status()).toMatchObject([
      { id: 'primary', state: 'open', failed: 1, lastError: { reason: 'connection refused' } },
      { id: 'backup', state: 'closed', issued: 1 },
    ])
    expect(pool.failOvers()).toMatchObject([
      { authority: 'primary', from: 'closed', to: 'open', reason: 'connection refused' },
    ])
  })

  it('returns gradually: one probe, then one, two, four … orders in each window', async () => {
    const pool = poolOf(clock, authority('primary'), authority('backup'))
    await fail(pool, 'a', unreachable)
    clock.step(5_000)
    const probe = await pool.choose(request('probe'))
    expect(probe).toMatchObject({ kind: 'authority', authority: { id: 'primary' } })
    // While the probe is out nobody else is sent there.
    expect(await ask(pool, 'b')).toBe('backup')
    await pool.succeeded('primary', 'probe')
    const shares: number[] = []
    for (let turn = 0; turn < 5; turn++) {
      const asked = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(pool, `${turn}-${index}`)))
      shares.push(asked.filter((id) => id === 'primary').length)
      clock.step(10_000)
    }
    expect(shares).toEqual([1, 2, 4, 8, 16])
    expect(pool.failOvers().map(({ to }) => to)).toEqual(['open', 'half-open'])
  })

  it('waits twice as long after a probe that failed, and as long as the CA said in Retry-After', async () => {
    const pool = poolOf(clock, authority('primary'))
    await fail(pool, 'a', unreachable)
    expect(await pool.choose(request('b'))).toMatchObject({ because: 'outage', untilMs: clock.nowMs() + 5_000 })
    clock.step(5_000)
    await fail(pool, 'c', unreachable)
    expect(await pool.choose(request('d'))).toMatchObject({ because: 'outage', untilMs: clock.nowMs() + 10_000 })
    clock.step(10_000)
    await fail(
      pool,
      'e',
      new Fault('ACME_REFUSED', 'rateLimited', { type: 'rateLimited', status: 429, retryAfterMs: 7_200_000 }),
    )
    expect(await pool.choose(request('f'))).toMatchObject({ because: 'outage', untilMs: clock.nowMs() + 7_200_000 })
  })

  it('passes one refused name on and keeps the primary in use', async () => {
    const pool = poolOf(clock, authority('primary'), authority('backup'))
    for (const type of ['rejectedIdentifier', 'caa', 'caa', 'caa', 'caa'])
      await fail(pool, 'a', new Fault('ACME_REFUSED', type, { type, status: 403 }))
    expect(await ask(pool, 'a', { passedOver: ['primary'] })).toBe('backup')
    expect(await ask(pool, 'b')).toBe('primary')
  })

  it('opens after three failures in a row that are the authority’s own', async () => {
    const pool = poolOf(clock, authority('primary'), authority('backup'))
    const wrongKey = new Fault('CERT_KEY_MISMATCH', 'another key')
    expect(await fail(pool, 'a', wrongKey)).toBe('primary')
    expect(await fail(pool, 'b', wrongKey)).toBe('primary')
    expect(await ask(pool, 'c')).toBe('primary')
    for (const holder of ['d', 'e', 'f']) expect(await fail(pool, holder, wrongKey)).toBe('primary')
    expect(await ask(pool, 'g')).toBe('backup')
  })

  it('says who has refused when nobody is left', async () => {
    const pool = poolOf(clock, authority('primary'))
    expect(await ask(pool, 'a', { passedOver: ['primary'] })).toBe('refused')
  })

  it('is told to whoever keeps the record', async () => {
    const told: FailOver[] = []
    const pool = limitedPool(clock, [authority('primary')], { onFailOver: (failOver) => told.push(failOver) })
    await fail(pool, 'a', unreachable)
    expect(told).toEqual(pool.failOvers())
    expect(told).toMatchObject([{ authority: 'primary', from: 'closed', to: 'open', reason: 'connection refused' }])
  })

  it('is shared by all instances: who finds an authority out tells the others', async () => {
    const health = memoryTable<HealthRow>()
    const pools = [1, 2].map(() => limitedPool(clock, [authority('primary'), authority('backup')], { health }))
    expect(await ask(pools[1]!, 'a')).toBe('primary')
    const limited = { type: 'rateLimited', status: 429, retryAfterMs: 60_000 }
    await fail(pools[0]!, 'b', new Fault('ACME_REFUSED', 'too many orders', limited))
    await clock.advance(5_000)
    expect(await ask(pools[1]!, 'c')).toBe('backup')
    expect(pools[1]!.failOvers()).toMatchObject([
      { authority: 'primary', to: 'open', reason: 'found out by another instance' },
    ])
    await clock.advance(55_000)
    expect(await ask(pools[1]!, 'd')).toBe('primary')
  })

  it('keeps a bounded history', async () => {
    const pool = poolOf(clock, authority('primary'))
    for (let turn = 0; turn < 200; turn++) {
      await fail(pool, 'a', unreachable)
      clock.step(300_000)
    }
    expect(pool.failOvers().length).toBe(100)
  })
})

describe('blame', () => {
  it.each([
    [new Fault('ACME_UNREACHABLE', ''), 'outage'],
    [new Fault('ACME_TIMEOUT', ''), 'outage'],
    [new DOMException('too slow', 'TimeoutError'), 'outage'],
    [new Fault('ACME_REFUSED', '', { type: 'serverInternal', status: 500 }), 'outage'],
    [new Fault('ACME_REFUSED', '', { type: 'rateLimited', status: 429 }), 'outage'],
    [new Fault('ACME_REFUSED', '', { type: 'rejectedIdentifier', status: 400 }), 'order'],
    [new Fault('ACME_REFUSED', '', { type: 'caa', status: 403 }), 'order'],
    [new Fault('ACME_REFUSED', '', { type: 'malformed', status: 400 }), 'authority'],
    [new Fault('CERT_KEY_MISMATCH', ''), 'authority'],
    [new Fault('DNS_UPDATE_REFUSED', ''), 'ours'],
    [new Fault('STORE_UNAVAILABLE', ''), 'ours'],
  ] as const)('%o is of %s', (error, blame) => {
    expect(blameFor(error)).toBe(blame)
  })
})

describe('budgets', () => {
  const limits = { primary: { ordersPer3h: 10 } }

  it('used up send orders to the next authority without a failure', async () => {
    const pool = limitedPool(clock, [authority('primary'), authority('backup')], { limits, urgentShare: 0 })
    const asked: string[] = []
    for (let index = 0; index < 12; index++) asked.push(await ask(pool, `${index}`))
    expect(asked.filter((id) => id === 'primary').length).toBe(10)
    expect(pool.status()).toMatchObject([
      { state: 'closed', failed: 0, budgets: [{ name: 'orders-per-3h', used: 10, max: 10 }] },
      { issued: 2, budgets: [] },
    ])
  })

  it('used up everywhere make an order wait until the oldest no longer counts', async () => {
    const pool = limitedPool(clock, [authority('primary')], { limits, urgentShare: 0 })
    for (let index = 0; index < 10; index++) await ask(pool, `${index}`)
    const choice = await pool.choose(request('late'))
    expect(choice).toMatchObject({ kind: 'none', because: 'budget' })
    const waitMs = choice.kind === 'none' ? choice.untilMs - clock.nowMs() : 0
    expect(waitMs).toBeGreaterThan(10_800_000 - 450_000)
    expect(waitMs).toBeLessThanOrEqual(10_800_000 + 450_000)
    clock.step(waitMs)
    expect(await ask(pool, 'late')).toBe('primary')
  })

  it('keep a share for first certificates and those that run out', async () => {
    const pool = limitedPool(clock, [authority('primary')], { limits, urgentShare: 0.2 })
    const renewals: string[] = []
    for (let index = 0; index < 12; index++) renewals.push(await ask(pool, `${index}`))
    expect(renewals.filter((id) => id === 'primary').length).toBe(8)
    expect(await ask(pool, 'first', { urgency: 1 })).toBe('primary')
    expect(await ask(pool, 'second', { urgency: 1 })).toBe('primary')
    expect(await ask(pool, 'third', { urgency: 1 })).toBe('budget')
  })

  it('go to those with the least life left when there is little room', async () => {
    const tight = { primary: { ordersPer3h: 100 } }
    const pool = limitedPool(clock, [authority('primary')], { limits: tight, urgentShare: 0.5 })
    for (let index = 0; index < 75; index++) await ask(pool, `${index}`, { urgency: 1 })
    const asked = await Promise.all(
      [0, 0.2, 0.4, 0.6, 0.8].map((urgency, index) => ask(pool, `late-${index}`, { urgency })),
    )
    expect(asked).toEqual(['budget', 'budget', 'budget', 'primary', 'primary'])
  })

  it('are shared by all instances through the store', async () => {
    const table = memoryTable<BudgetRow>()
    const pools = [1, 2, 3].map(() => limitedPool(clock, [authority('primary')], { limits, table, urgentShare: 0 }))
    const asked = await Promise.all(Array.from({ length: 30 }, (_, index) => ask(pools[index % 3]!, `${index}`)))
    expect(asked.filter((id) => id === 'primary').length).toBe(10)
  })

  it('count names of one registered domain together, week by week', async () => {
    const week = { primary: { perDomainPerWeek: 2 } }
    const pool = limitedPool(clock, [authority('primary')], { limits: week, urgentShare: 0 })
    expect([await ask(pool, 'a'), await ask(pool, 'b'), await ask(pool, 'c')]).toEqual(['primary', 'primary', 'budget'])
    expect(await ask(pool, 'd', { names: ['d.other.example.net'] })).toBe('primary')
    clock.step(8 * 86_400_000)
    expect(await ask(pool, 'c')).toBe('primary')
  })

  it('let renewals with `replaces` pass uncounted where the CA promises that', async () => {
    const exempt = { primary: { ordersPer3h: 1, replacesExempt: true } }
    const pool = limitedPool(clock, [authority('primary')], { limits: exempt, urgentShare: 0 })
    expect(await ask(pool, 'a')).toBe('primary')
    expect(await ask(pool, 'b')).toBe('budget')
    expect(await ask(pool, 'b', { renewalAt: 'primary' })).toBe('primary')
    expect(await ask(pool, 'b', { renewalAt: 'backup' })).toBe('budget')
  })

  it('limit what is under way at once, and forget those who died after their time', async () => {
    const pool = limitedPool(clock, [authority('primary')], { limits: { primary: { concurrent: 2 } }, urgentShare: 0 })
    for (const holder of ['a', 'b']) await pool.choose(request(holder))
    expect(await ask(pool, 'c')).toBe('budget')
    // The one who takes over needs no second place.
    expect(await ask(pool, 'a', { begunAt: 'primary' })).toBe('primary')
    expect(await ask(pool, 'c')).toBe('primary')
    await pool.choose(request('d'))
    expect(await ask(pool, 'e')).toBe('budget')
    clock.step(400_000)
    expect(await ask(pool, 'e')).toBe('primary')
  })

  it('pace renewals that can wait, and nothing else', async () => {
    const pool = limitedPool(clock, [authority('primary')], { renewalsPerMinuteMax: 5 })
    const asked: string[] = []
    for (let index = 0; index < 7; index++) asked.push(await ask(pool, `${index}`))
    expect(asked.filter((id) => id === 'primary').length).toBe(5)
    expect(await ask(pool, 'first', { urgency: 1 })).toBe('primary')
    clock.step(65_000)
    expect(await ask(pool, 'later')).toBe('primary')
  })
})
