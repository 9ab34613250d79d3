import { describe, expect, it } from 'vitest'
import {
  ancestorOf,
  canonicalName,
  commonAncestor,
  compareNames,
  isAtOrUnder,
  labelCount,
  nameText,
  parentOf,
  ROOT,
} from '../../../src/dns/dnssec/name.ts'

const name = (text: string): string => canonicalName(text)!

describe('canonical order', () => {
  it('is that of RFC 4034 §6.1', () => {
    const sorted = [
      'example',
      'a.example',
      'yljkjljk.a.example',
      'Z.a.example',
      'zABC.a.EXAMPLE',
      'z.example',
      '\\001.z.example',
      '*.z.example',
      '\\200.z.example',
    ].map(name)
    expect(sorted.toReversed().toSorted(compareNames)).toEqual(sorted)
  })
  it('puts the root first and equal names together', () => {
    expect(compareNames(ROOT, name('a'))).toBeLessThan(0)
    expect(compareNames(name('A.b'), name('a.B'))).toBe(0)
  })
})

describe('names', () => {
  it('are under a zone by whole labels', () => {
    expect(isAtOrUnder(name('a.example'), name('example'))).toBe(true)
    expect(isAtOrUnder(name('an-example'), name('example'))).toBe(false)
    // A label that ends with what looks like the zone, length octet included.
    expect(isAtOrUnder(name('x\\007example'), name('example'))).toBe(false)
    expect(isAtOrUnder(name('example'), ROOT)).toBe(true)
  })
  it('lead up to the root', () => {
    expect(parentOf(name('a.b'))).toBe(name('b'))
    expect(parentOf(ROOT)).toBe(ROOT)
    expect(ancestorOf(name('a.b.c.d'), 2)).toBe(name('c.d'))
    expect(commonAncestor(name('a.b.c'), name('x.b.c'))).toBe(name('b.c'))
    expect(commonAncestor(name('a'), name('b'))).toBe(ROOT)
    expect([labelCount(ROOT), labelCount(name('a.b'))]).toEqual([0, 2])
  })
  it('have a text', () => {
    expect([nameText(ROOT), nameText(name('A.b\\.c'))]).toEqual(['.', 'a.b\\.c'])
  })
})
