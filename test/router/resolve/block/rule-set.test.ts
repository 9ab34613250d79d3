import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isUnder, nameToWire } from '../../../../src/dns/name.ts'
import { Fingerprint } from '../../../../src/router/resolve/block/fingerprint.ts'
import { addName, RuleSet } from '../../../../src/router/resolve/block/rule-set.ts'

interface Rule {
  readonly name: string
  readonly list: number
  readonly isExact: boolean
  readonly isException: boolean
}

const SEED = { high: 0x1234_5678, low: 0x9abc_def0 }

function setOf(rules: readonly Rule[]): RuleSet {
  const set = new RuleSet(SEED, { blocked: rules.length, allowed: rules.length })
  const fingerprint = new Fingerprint(SEED)
  for (const { name, list, isExact, isException } of rules) {
    const octets = Buffer.from(name)
    addName(fingerprint, octets, 0, octets.length)
    if (isExact) fingerprint.makeExact()
    set[isException ? 'allowed' : 'blocked'].add(fingerprint, list)
  }
  return set
}
const block = (name: string, more: Partial<Rule> = {}): Rule => ({
  name,
  list: 1,
  isExact: false,
  isException: false,
  ...more,
})
const ask = (set: RuleSet, name: string, lists = 1, allowing = 0): number =>
  set.blockedBy(nameToWire(name)!, 0, lists, allowing)

describe('RuleSet', () => {
  it('blocks a name and all below it, letter case aside', () => {
    const set = setOf([block('Ads.example')])
    for (const name of ['ads.example', 'ADS.EXAMPLE', 'a.b.ads.example']) expect(ask(set, name), name).toBe(1)
    for (const name of ['example', 'xads.example', 'ads.example.net', 'adsexample', '.'])
      expect(ask(set, name), name).toBe(0)
  })

  it('blocks exactly the name where that is meant', () => {
    const set = setOf([block('ads.example', { isExact: true })])
    expect([ask(set, 'ads.example'), ask(set, 'a.ads.example'), ask(set, 'example')]).toEqual([1, 0, 0])
  })

  it('a whole top-level domain', () => {
    expect(ask(setOf([block('zip')]), 'a.b.zip')).toBe(1)
  })

  it('a dot inside a label does not make two of it', () => {
    expect(ask(setOf([block('ads.example')]), 'x\\.ads.example')).toBe(0)
    expect(ask(setOf([block('ads.example')]), 'ads\\.example')).toBe(0)
  })

  it('only the lists that hold count', () => {
    const set = setOf([
      block('a.example', { list: 1 }),
      block('a.example', { list: 4 }),
      block('b.example', { list: 2 }),
    ])
    expect([ask(set, 'a.example', 7), ask(set, 'a.example', 4), ask(set, 'a.example', 2)]).toEqual([5, 4, 0])
    expect([ask(set, 'b.example', 5), ask(set, 'b.example', 2), ask(set, 'b.example', 0)]).toEqual([0, 2, 0])
  })

  it('allowed beats blocked, above or below', () => {
    const set = setOf([
      block('ads.example'),
      block('good.ads.example', { isException: true }),
      block('x.example'),
      block('example', { isException: true, list: 2 }),
    ])
    expect([ask(set, 'good.ads.example'), ask(set, 'a.good.ads.example'), ask(set, 'ads.example')]).toEqual([0, 0, 1])
    // The exception of list 2 is nothing to those who do not have it.
    expect([ask(set, 'x.example', 1), ask(set, 'x.example', 3), ask(set, 'x.example', 1, 2)]).toEqual([1, 0, 0])
  })

  it('finds a compressed name in a message, and nothing where a name is broken', () => {
    const set = setOf([block('ads.example')])
    const wire = Buffer.concat([Buffer.alloc(12), nameToWire('ads.example')!, Buffer.from([1, 0x61, 0xc0, 12])])
    expect(set.blockedBy(wire, 25, 1, 0)).toBe(1)
    const loop = Buffer.concat([Buffer.alloc(12), Buffer.from([1, 0x61, 0xc0, 12])])
    expect(set.blockedBy(loop, 12, 1, 0)).toBe(0)
    expect(set.blockedBy(Buffer.from([5, 0x61]), 0, 1, 0)).toBe(0)
    expect(set.blockedBy(Buffer.alloc(0), 0, 1, 0)).toBe(0)
  })

  it('refuses more names than were announced', () => {
    const set = new RuleSet(SEED, { blocked: 2, allowed: 0 })
    const fingerprint = new Fingerprint(SEED)
    const added = ['a', 'b', 'b', 'c'].map((name) => {
      addName(fingerprint, Buffer.from(name), 0, 1)
      return set.blocked.add(fingerprint, 1)
    })
    expect([added, set.blocked.names]).toEqual([[true, true, true, false], 2])
  })
})

describe('compared with a search through all rules', () => {
  const label = fc.constantFrom('a', 'b', 'ads', 'A', 'x-1')
  const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'))
  const rule = fc.record({
    name,
    list: fc.constantFrom(1, 2, 4),
    isExact: fc.boolean(),
    isException: fc.boolean(),
  })
  const matches = (asked: string, { name: ruled, isExact }: Rule): boolean =>
    isExact ? asked.toLowerCase() === ruled.toLowerCase() : isUnder(asked, ruled)

  it('gives the same verdict', () => {
    fc.assert(
      fc.property(
        fc.array(rule, { maxLength: 30 }),
        fc.array(name, { maxLength: 20 }),
        fc.nat(7),
        (rules, names, lists) => {
          const set = setOf(rules)
          for (const asked of names) {
            const holding = rules.filter((one) => (one.list & lists) !== 0 && matches(asked, one))
            const isBlocked = holding.some(({ isException }) => !isException)
            const isAllowed = holding.some(({ isException }) => isException)
            expect(ask(set, asked, lists) !== 0, asked).toBe(isBlocked && !isAllowed)
          }
        },
      ),
      { seed: 5, numRuns: 2000 },
    )
  })

  it('knows 200,000 names from 200,000 others', () => {
    const names = Array.from(
      { length: 200_000 },
      (_, index) => `${(index * 2_654_435_761).toString(36)}.${index % 7}x.example`,
    )
    const set = setOf(names.map((one) => block(one)))
    expect(set.blocked.names).toBe(new Set(names).size)
    expect(names.filter((one) => ask(set, one) !== 1)).toEqual([])
    expect(names.filter((one) => ask(set, `${one}e`) !== 0)).toEqual([])
  })
})
