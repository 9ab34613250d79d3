import { expect, it } from 'vitest'
import { freeId, Question, random16 } from '../../../src/router/upstream/question.ts'
import { queryOf, queryWire } from '../../support/query.ts'

it('random16 spreads over all sixteen bits, also beyond what is drawn at one time', () => {
  const ids = Array.from({ length: 5_000 }, random16)
  expect(Math.min(...ids)).toBeLessThan(1_000)
  expect(Math.max(...ids)).toBeGreaterThan(64_000)
  expect(Math.max(...ids)).toBeLessThan(65_536)
  expect(new Set(ids).size).toBeGreaterThan(4_600)
})

it('freeId never gives an id that is in use', () => {
  const taken = new Map<number, true>()
  for (let index = 0; index < 20_000; index++) {
    const id = freeId(taken)
    expect(taken.has(id)).toBe(false)
    taken.set(id, true)
  }
})

it('a question is over once, and holds nothing of its asker then', () => {
  const heard: unknown[] = []
  const listen = (value: unknown): void => void heard.push(value)
  const question = new Question(queryOf(queryWire('a.example')), listen, listen)
  question.fail('gone')
  question.fail('gone again')
  question.settle({ kind: 'answer', wire: new Uint8Array(12), from: 'late' })
  expect(heard).toEqual(['gone'])
  expect(question.query).toBeUndefined()
})
