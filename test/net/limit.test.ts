import { describe, expect, it } from 'vitest'
import { ConnectionLimit, WorkLimit } from '../../src/net/limit.ts'

describe('ConnectionLimit', () => {
  it('refuses over the bound in all, and admits again when a place is given back', () => {
    const limit = new ConnectionLimit(2, 2)
    const first = limit.admit('a')!
    limit.admit('b')
    expect([limit.open, limit.admit('c')]).toEqual([2, undefined])
    first()
    expect(limit.open).toBe(1)
    expect(limit.admit('c')).toBeDefined()
  })

  it('refuses over the bound of one client, and no other', () => {
    const limit = new ConnectionLimit(10, 1)
    const leave = limit.admit('a')!
    expect(limit.admit('a')).toBeUndefined()
    expect(limit.admit('b')).toBeDefined()
    leave()
    expect(limit.admit('a')).toBeDefined()
  })

  it('takes a place back once', () => {
    const limit = new ConnectionLimit(2, 2)
    const leave = limit.admit('a')!
    limit.admit('a')
    leave()
    leave()
    expect(limit.open).toBe(1)
    expect([limit.admit('a') === undefined, limit.admit('a') === undefined]).toEqual([false, true])
  })
})

describe('fairness', () => {
  const HOST = '192.0.2.1'
  const OTHER = '192.0.2.2'

  it('the addresses of one /64 are one client', () => {
    const limit = new ConnectionLimit(10, 2)
    limit.admit('2001:db8::1')
    limit.admit('2001:db8::2')
    expect(limit.admit('2001:db8::3')).toBeUndefined()
    expect(limit.admit('2001:db8:0:1::3')).toBeDefined()
  })

  it('when all places are taken, the oldest idle connection of whoever has most goes', () => {
    const limit = new ConnectionLimit(4, 4)
    const asked: string[] = []
    const idle = (name: string) => () => asked.push(name) > 0
    const busy = (name: string) => () => asked.push(name) < 0
    limit.admit(HOST, busy('first'))
    limit.admit(HOST, idle('second'))
    limit.admit(HOST, idle('third'))
    limit.admit('192.0.2.3', idle('another'))
    expect(limit.admit(OTHER)).toBeDefined()
    expect(asked).toEqual(['first', 'second'])
    expect(limit.open).toBe(4)
  })

  it('gives the place of one that went away once only', () => {
    const limit = new ConnectionLimit(2, 2)
    const leave = limit.admit(HOST, () => true)!
    limit.admit(HOST, () => true)
    expect(limit.admit(OTHER)).toBeDefined()
    leave() // its socket closes later
    expect(limit.open).toBe(2)
  })

  it('nobody makes room for a client that has as many, or when all are busy', () => {
    const equal = new ConnectionLimit(2, 2)
    equal.admit(HOST, () => true)
    equal.admit(OTHER, () => true)
    expect(equal.admit(HOST)).toBeUndefined()
    expect(equal.admit(OTHER)).toBeUndefined()
    const busy = new ConnectionLimit(2, 2)
    busy.admit(HOST, () => false)
    busy.admit(HOST)
    expect(busy.admit(OTHER)).toBeUndefined()
  })

  it('asks a bounded number of busy ones', () => {
    const limit = new ConnectionLimit(500, 500)
    let asked = 0
    for (let index = 0; index < 500; index++) limit.admit(HOST, () => ++asked < 0)
    expect(limit.admit(OTHER)).toBeUndefined()
    expect(asked).toBe(64)
  })

  it('new bounds hold for the next ones', () => {
    const limit = new ConnectionLimit(1, 1)
    limit.admit(HOST)
    limit.totalMax = 3
    limit.perClientMax = 2
    expect([limit.admit(HOST) === undefined, limit.admit(HOST) === undefined]).toEqual([false, true])
  })
})

describe('WorkLimit', () => {
  it('no client can have all of it', () => {
    const limit = new WorkLimit(4, 2)
    for (const address of ['2001:db8::1', '2001:db8::2']) limit.begin(address)
    expect([limit.hasRoomFor('2001:db8::3'), limit.hasRoomFor('192.0.2.1')]).toEqual([false, true])
    limit.begin('192.0.2.1')
    limit.begin('192.0.2.2')
    expect(limit.hasRoomFor('192.0.2.3')).toBe(false)
    limit.end('2001:db8::9')
    expect([limit.open, limit.hasRoomFor('2001:db8::3'), limit.hasRoomFor('192.0.2.3')]).toEqual([3, true, true])
  })

  it('forgets clients that have nothing under way', () => {
    const limit = new WorkLimit(2, 1)
    for (let index = 0; index < 1_000; index++) {
      limit.begin('192.0.2.1')
      limit.end('192.0.2.1')
    }
    expect([limit.open, limit.hasRoomFor('192.0.2.1')]).toEqual([0, true])
  })
})
