import { describe, expect, it } from 'vitest'
import { CLIENTS_MAX, ClientTable } from '../../../../src/router/resolve/rate-limit/client-table.ts'

const tableOf = (perSecond = 10, burst = 20): ClientTable => new ClientTable({ perSecond, burst, seed: 0x5eed })
/** How many of `count` questions at this moment find a token. */
const passing = (table: ClientTable, address: string, nowMs: number, count = 1000): number => {
  let passed = 0
  for (let index = 0; index < count; index++) if (table.spend(table.place(address), nowMs)) passed++
  return passed
}
const forged = (index: number): string => `10.${index >> 16}.${(index >> 8) & 255}.${index & 255}`

describe('a bucket', () => {
  it('gives a burst, then the rate, and no more after a pause than a burst', () => {
    const table = tableOf()
    expect(passing(table, '192.168.1.7', 1000)).toBe(20)
    expect(passing(table, '192.168.1.7', 2000)).toBe(10)
    expect(passing(table, '192.168.1.7', 2050)).toBe(0)
    expect(passing(table, '192.168.1.7', 2100)).toBe(1)
    expect(passing(table, '192.168.1.7', 1_000_000)).toBe(20)
  })

  it('is not emptied further by what it refuses', () => {
    const table = tableOf()
    passing(table, '192.168.1.7', 0, 1_000_000)
    expect(passing(table, '192.168.1.7', 1000)).toBe(10)
  })

  it('is one per IPv4 address and one per /64', () => {
    const table = tableOf()
    expect(passing(table, '192.168.1.7', 0)).toBe(20)
    expect(passing(table, '192.168.1.8', 0)).toBe(20)
    expect(passing(table, '2001:db8:0:1::1', 0)).toBe(20)
    expect(passing(table, '2001:db8:0:1:ffff::2', 0)).toBe(0)
    expect(passing(table, '2001:db8:0:2::1', 0)).toBe(20)
  })

  it('hasToken looks without taking', () => {
    const table = tableOf(10, 1)
    for (let look = 0; look < 3; look++) expect(table.hasToken('192.168.1.7', 0)).toBe(true)
    expect(passing(table, '192.168.1.7', 0)).toBe(1)
    expect([table.hasToken('192.168.1.7', 50), table.hasToken('192.168.1.7', 100)]).toEqual([false, true])
  })
})

describe('a flood of forged sources', () => {
  it('does not free a client that has used up its tokens', () => {
    const table = tableOf(200, 1000)
    expect(passing(table, '192.168.1.7', 0, 2000)).toBe(1000)
    // A hundred thousand sources in one second, one question each.
    let nowMs = 0
    for (let index = 0; index < 100_000; index++) {
      nowMs = index / 100
      table.spend(table.place(forged(index)), nowMs)
    }
    expect(passing(table, '192.168.1.7', nowMs, 2000)).toBeLessThanOrEqual(200)
  })

  it('refuses no newcomer', () => {
    const table = tableOf(200, 1000)
    let refused = 0
    for (let index = 0; index < 50_000; index++) if (!table.spend(table.place(forged(index)), 0)) refused++
    expect(refused).toBe(0)
  })
})

describe('open questions', () => {
  it('are counted per client and given back', () => {
    const table = tableOf()
    const place = table.place('192.168.1.7')
    table.opened(place)
    table.opened(place)
    table.closed(place)
    expect([table.open(place), table.open(table.place('192.168.1.8'))]).toEqual([1, 0])
  })

  it('keep their client in its place whatever comes', () => {
    const table = tableOf(200, 1000)
    const place = table.place('192.168.1.7')
    table.opened(place)
    for (let index = 0; index < 50_000; index++) table.place(forged(index))
    expect(table.place('192.168.1.7')).toBe(place)
    expect(table.open(place)).toBe(1)
  })

  it('when all places of a set are taken by them, newcomers share one place', () => {
    const table = tableOf()
    const places = Array.from({ length: 100_000 }, (_, index) => {
      const place = table.place(forged(index))
      table.opened(place)
      return place
    })
    const shared = places.filter((place) => place === CLIENTS_MAX).length
    expect(shared).toBeGreaterThan(90_000)
    expect(shared + new Set(places.filter((place) => place !== CLIENTS_MAX)).size).toBe(places.length)
    for (const place of places) table.closed(place)
    expect(Math.max(...places.map((place) => table.open(place)))).toBe(0)
  })
})
