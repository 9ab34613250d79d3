import { expect, it } from 'vitest'
import { QuestionHash } from '../../../../src/router/resolve/cache/question-hash.ts'
import { queryWire } from '../../../support/query.ts'

const KEY = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)

function hashOf(name: string, { type = 1, variant = 0, key = KEY } = {}): number {
  const wire = queryWire(name)
  return new QuestionHash(key).of(wire, 12, wire.length - 4, type, variant)
}

it('is the same in any letter case, and for a name as the end of a longer one', () => {
  expect(hashOf('WWW.Example')).toBe(hashOf('www.eXAMPLE'))
  const wire = queryWire('www.example')
  expect(new QuestionHash(KEY).of(wire, 16, wire.length - 4, 1, 0)).toBe(hashOf('example'))
})

it('differs by name, type, class, variant and key', () => {
  const inChaos = queryWire('a.example', 1, { questions: [{ name: 'a.example', type: 1, class: 3 }] })
  const hashes = [
    hashOf('a.example'),
    hashOf('b.example'),
    hashOf('aa.example'),
    hashOf('a.example', { type: 28 }),
    hashOf('a.example', { variant: 1 }),
    hashOf('a.example', { key: Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 9) }),
    new QuestionHash(KEY).of(inChaos, 12, inChaos.length - 4, 1, 0),
  ]
  expect(new Set(hashes).size).toBe(hashes.length)
})

it('spreads names that differ in one octet over the low bits', () => {
  const counts = new Uint32Array(64)
  for (let index = 0; index < 6400; index++) counts[hashOf(`host-${index}.example`) & 63]!++
  expect(Math.min(...counts)).toBeGreaterThan(60)
  expect(Math.max(...counts)).toBeLessThan(150)
})
