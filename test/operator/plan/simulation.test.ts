import { describe, expect, it } from 'vitest'
import { type Fleet, instancesFor, parallelMax } from '../../../src/operator/plan/fleet.ts'
import { forecast } from '../../../src/operator/plan/forecast.ts'
import { simulate } from '../../../src/operator/plan/simulation.ts'
import { forecastTable } from '../../../src/operator/plan/table.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const fleet: Fleet = {
  devices: 1_000,
  lifetimeMs: 4 * DAY_MS,
  authorities: [{ name: 'primary', limits: {} }],
  spread: 0.2,
  urgentShare: 0.2,
  ordersPerMinute: 3_000,
  issuanceMs: 5_000,
  instances: 1,
}
const withBackup = { ...fleet, authorities: [...fleet.authorities, { name: 'backup', limits: {} }] }
const outage = (hours: number) => ({ fromMs: 2 * DAY_MS, forMs: hours * HOUR_MS })

describe('a fleet on a virtual clock', () => {
  it('renews every certificate once in each lifetime, evenly, with half of its life left or more', () => {
    const report = simulate(fleet, { days: 40 })
    expect(report.orders).toBeGreaterThanOrEqual(1_000 * 10 - 1)
    expect(report.orders).toBeLessThanOrEqual(1_000 * 10 + 1)
    expect(report.expired).toBe(0)
    expect(report.leastLifeLeftMs).toBeGreaterThanOrEqual(2 * DAY_MS - 60_000)
    const large = simulate({ ...fleet, devices: 20_000 }, { days: 4 })
    expect(large.peakPerSecond).toBeLessThan(4 * large.meanPerSecond)
  })

  it('gives the same report each time', () => {
    expect(simulate(fleet, { days: 5, outage: outage(6) })).toEqual(simulate(fleet, { days: 5, outage: outage(6) }))
  })

  it('sees no expired certificate while an outage is shorter than half a lifetime, and many when it is longer than a whole', () => {
    expect(simulate(fleet, { days: 12, outage: outage(44) }).expired).toBe(0)
    const report = simulate(fleet, { days: 14, outage: outage(120) })
    expect(report.expired).toBeGreaterThan(250)
    expect(report.leastLifeLeftMs).toBeLessThan(0)
  })

  it('rides an outage of any length on the backup', () => {
    const report = simulate(withBackup, { days: 14, outage: outage(120) })
    expect(report.expired).toBe(0)
    expect(report.leastLifeLeftMs).toBeGreaterThan(1.9 * DAY_MS)
    const [primary, backup] = report.authorities
    expect(primary!.orders).toBeGreaterThan(1_000)
    expect(backup!.orders).toBeGreaterThan(1_000)
  })

  it('drains the backlog no faster than it is told to, and never exceeds a budget', () => {
    const slow = { ...fleet, ordersPerMinute: 5, authorities: [{ name: 'primary', limits: { ordersPer3h: 100 } }] }
    const report = simulate(slow, { days: 14, outage: outage(24) })
    expect(report.expired).toBe(0)
    expect(report.peakPerSecond).toBeLessThanOrEqual(5 / 60 + 0.001)
    expect(report.authorities[0]!.peaks[0]!.used).toBeLessThanOrEqual(100)
  })

  it('shows a budget that is too small as routers that expire', () => {
    const poor = { ...fleet, authorities: [{ name: 'primary', limits: { ordersPer3h: 10 } }] }
    expect(simulate(poor, { days: 10 }).expired).toBeGreaterThan(0)
  })
})

describe('issuance takes its time', () => {
  it('and so no more are under way than workers have hands for', () => {
    const few = { ...fleet, issuanceMs: 240_000 }
    const { underWay, peakPerSecond, expired } = simulate(few, { days: 14, outage: outage(24) })
    expect(underWay.max).toBe(parallelMax(few))
    expect(underWay.peak).toBe(underWay.max)
    expect(peakPerSecond).toBeLessThanOrEqual(underWay.max / 60)
    expect(expired).toBe(0)
  })

  it('and too few workers for the fleet leave routers with expired certificates', () => {
    const large = { ...fleet, devices: 20_000, issuanceMs: 240_000 }
    expect(simulate(large, { days: 12 }).expired).toBeGreaterThan(0)
    expect(simulate({ ...large, instances: instancesFor(large) }, { days: 12 }).expired).toBe(0)
  })

  it('and the budget of orders at once is kept to', () => {
    const limited = { ...fleet, issuanceMs: 60_000, authorities: [{ name: 'primary', limits: { concurrent: 3 } }] }
    const { authorities, underWay, expired } = simulate(limited, { days: 14, outage: outage(24) })
    expect(authorities[0]!.peaks).toEqual([{ name: 'concurrent', used: 3, max: 3 }])
    expect(underWay.peak).toBe(3)
    expect(expired).toBe(0)
  })

  it('and a budget of orders at once that is full sends renewals to the backup', () => {
    const limits = [{ concurrent: 1 }, {}]
    const authorities = limits.map((each, index) => ({ name: `ca-${index}`, limits: each }))
    const report = simulate({ ...fleet, issuanceMs: 240_000, authorities }, { days: 8 })
    expect(report.authorities[0]!.peaks).toMatchObject([{ used: 1 }])
    expect(report.authorities[1]!.orders).toBeGreaterThan(0)
  })
})

describe('renewals that are free at a CA', () => {
  it('do not count where they were issued before', () => {
    const limits = { ordersPer3h: 10, replacesExempt: true }
    const report = simulate({ ...fleet, authorities: [{ name: 'primary', limits }] }, { days: 10 })
    expect(report).toMatchObject({ expired: 0, authorities: [{ peaks: [{ used: 0 }] }] })
  })
})

describe('the forecast', () => {
  const input = { days: 10, outagesMs: [HOUR_MS, 6 * HOUR_MS] }

  it('promises a slack that the whole fleet survives, near to half a lifetime', () => {
    const { slackMs, outages } = forecast(withBackup, input)
    expect(slackMs).toBeGreaterThan(1.8 * DAY_MS)
    expect(slackMs).toBeLessThan(2 * DAY_MS)
    expect(simulate(fleet, { days: 18, outage: { fromMs: 8 * DAY_MS, forMs: slackMs } }).expired).toBe(0)
    expect(outages.map(({ forMs, withBackups, expired }) => [forMs / HOUR_MS, withBackups, expired])).toEqual([
      [1, false, 0],
      [1, true, 0],
      [6, false, 0],
      [6, true, 0],
    ])
  })

  it('fits into 80 columns', () => {
    const limits = { ordersPer3h: 100_000_000, perDomainPerWeek: 100_000_000 }
    const wide = { ...fleet, authorities: ['a'.repeat(32), 'backup'].map((name) => ({ name, limits })) }
    const text = forecastTable(wide, input.days, forecast(wide, input))
    expect(Math.max(...text.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(text).toContain('1,000 routers, certificates of 4 d, 10 days')
    expect(text).toMatch(/^1 h +no +0 +/m)
  })

  it.each([
    [{}, 'drains at up to 96 renewals a minute: more instances'],
    [{ instances: 100 }, 'drains at up to 9,600 renewals a minute: more instances'],
    [{ ordersPerMinute: 10 }, 'drains at up to 10 renewals a minute, besides'],
    [
      { authorities: [{ name: 'primary', limits: { concurrent: 4 } }] },
      'drains at up to 48 renewals a minute: the first authority takes',
    ],
  ])('says what holds a backlog back: %j', (differences, words) => {
    const each = { ...fleet, ...differences }
    const report = simulate(each, { days: 1 })
    const text = forecastTable(each, 1, { year: report, outages: [], slackMs: 1 })
    expect(text.replaceAll('\n', ' ')).toContain(words)
  })

  it('says when one authority alone cannot keep the fleet', () => {
    const poor = { ...fleet, authorities: [{ name: 'primary', limits: { ordersPer3h: 10 } }] }
    const result = forecast(poor, { days: 10, outagesMs: [] })
    expect(result.slackMs).toBe(0)
    expect(forecastTable(poor, 10, result)).toContain('cannot keep this fleet')
  })
})

describe('while an outage is shorter than the slack that is printed, nobody sees an expired certificate', () => {
  const fleets: readonly [string, Partial<Fleet>][] = [
    ['an hour, which is the shortest', { lifetimeMs: HOUR_MS, devices: 300, issuanceMs: 2_000 }],
    ['a day', { lifetimeMs: DAY_MS, devices: 2_000 }],
    ['a week, without spreading', { lifetimeMs: 7 * DAY_MS, spread: 0, devices: 5_000 }],
    ['a month, all of the spreading there is', { lifetimeMs: 30 * DAY_MS, spread: 0.4, devices: 2_000 }],
    ['a week, slow issuance', { lifetimeMs: 7 * DAY_MS, devices: 5_000, issuanceMs: 240_000 }],
    ['four days, a narrow budget', { authorities: [{ name: 'primary', limits: { ordersPer3h: 45 } }] }],
    ['four days, a narrow week', { authorities: [{ name: 'primary', limits: { perDomainPerWeek: 2_400 } }] }],
    ['four days, few at once', { issuanceMs: 60_000, authorities: [{ name: 'primary', limits: { concurrent: 1 } }] }],
    ['four days, a slow pace', { ordersPerMinute: 1 }],
  ]
  it.each(fleets)('certificates of %s', (_name, differences) => {
    const sized = { ...fleet, ...differences }
    const each = { ...sized, instances: instancesFor(sized) }
    const { slackMs } = forecast(each, { days: 1, outagesMs: [] })
    expect(slackMs).toBeGreaterThan(0)
    expect(slackMs).toBeLessThan(each.lifetimeMs / 2)
    const expired = [0.4, 0.8, 0.97, 1].flatMap((share) =>
      // Whenever it begins.
      [8 * DAY_MS, 8.3 * DAY_MS + 170_000].map((fromMs) => {
        const forMs = share * slackMs
        const days = Math.ceil((fromMs + forMs + 2 * each.lifetimeMs) / DAY_MS)
        return simulate(each, { days, outage: { fromMs, forMs } }).expired
      }),
    )
    expect(expired).toEqual(expired.map(() => 0))
  })
})
