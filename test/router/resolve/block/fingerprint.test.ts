import { describe, expect, it } from 'vitest'
import { Fingerprint } from '../../../../src/router/resolve/block/fingerprint.ts'

const labelsOf = (name: string): Buffer[] => name.split('.').map((label) => Buffer.from(label))

function fingerprintOf(name: string, seed = { high: 1, low: 2 }): string {
  const fingerprint = new Fingerprint(seed)
  fingerprint.start()
  for (const label of labelsOf(name).toReversed()) fingerprint.addLabel(label, 0, label.length)
  return `${fingerprint.high} ${fingerprint.low}`
}

describe('Fingerprint', () => {
  it('is the same for every letter case, and another one for every seed', () => {
    expect(fingerprintOf('Ads.Example')).toBe(fingerprintOf('ads.example'))
    expect(fingerprintOf('ads.example', { high: 3, low: 2 })).not.toBe(fingerprintOf('ads.example'))
    expect(fingerprintOf('ads.example', { high: 1, low: 3 })).not.toBe(fingerprintOf('ads.example'))
  })

  it('tells where labels end', () => {
    const all = ['ab.c', 'a.bc', 'abc', 'c.ab', 'bc.a', 'a.b.c'].map((name) => fingerprintOf(name))
    expect(new Set(all).size).toBe(all.length)
  })

  it('has lanes that are independent: each alone meets about as often as chance has it', () => {
    const [highs, lows] = [new Set<string>(), new Set<string>()]
    const count = 300_000
    for (let index = 0; index < count; index++) {
      const [high, low] = fingerprintOf(`n${index}.example`).split(' ')
      highs.add(high!)
      lows.add(low!)
    }
    // Chance: 300,000² / 2³³ = 10.
    expect(count - highs.size).toBeLessThan(40)
    expect(count - lows.size).toBeLessThan(40)
  })
})
