import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { isUnder } from '../../../src/dns/name.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { nameKey, nameOfQuestion } from '../../../src/router/resolve/name-key.ts'
import { nameSet } from '../../../src/router/resolve/name-set.ts'
import { queryWire } from '../../support/query.ts'

it('finds the longest domain at or above a name, as isUnder has it', () => {
  const name = fc
    .array(fc.constantFrom('a', 'b', 'C', 'ab'), { minLength: 1, maxLength: 4 })
    .map((labels) => labels.join('.'))
  fc.assert(
    fc.property(
      fc.uniqueArray(name, { maxLength: 5, selector: (one) => one.toLowerCase() }),
      name,
      (domains, asked) => {
        const holding = domains.filter((domain) => isUnder(asked, domain)).sort((a, b) => b.length - a.length)
        expect(nameSet(domains)(nameKey(asked))).toBe(holding[0])
      },
    ),
    { seed: 6, numRuns: 2000 },
  )
})

it('the root holds every name', () => {
  expect([nameSet(['.'])(nameKey('a.example')), nameSet(['.'])(nameKey('.'))]).toEqual(['.', '.'])
})

it('nameOfQuestion is spelt as nameKey does', () => {
  const view = MessageView.over(queryWire('A.Example'))!
  expect(nameOfQuestion(view.questionKey)).toBe(nameKey('a.example'))
})
