import { describe, expect, it } from 'vitest'
import { ConnectionLimit } from '../../src/net/limit.ts'

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
