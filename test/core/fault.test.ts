import { expect, it } from 'vitest'
import { FAULTS, Fault, reasonOf } from '../../src/core/fault.ts'

it('carries a code, facts, its cause and a hint', () => {
  const cause = new Error('deep')
  const fault = new Fault('PORT_IN_USE', '127.0.0.1:53 is in use', { address: '127.0.0.1:53' }, cause)
  expect(fault).toMatchObject({ name: 'Fault', code: 'PORT_IN_USE', facts: { address: '127.0.0.1:53' }, cause })
  expect(fault.hint).toBe(FAULTS.PORT_IN_USE)
  expect('cause' in new Fault('USAGE', 'x')).toBe(false)
})

it('has a hint for every code', () => {
  for (const [code, hint] of Object.entries(FAULTS)) expect(hint.length, code).toBeGreaterThan(15)
})

it('joins the reasons of a chain, each said once', () => {
  const chain = new Error('saving failed', {
    cause: new Error('disk full on /dev/x', { cause: new Error('disk full') }),
  })
  expect(reasonOf(chain)).toBe('saving failed: disk full on /dev/x')
})

it.each([
  [undefined, ''],
  ['text', "'text'"],
  [{ a: 1 }, '{ a: 1 }'],
  [new TypeError(''), 'TypeError'],
])('words whatever was thrown: %j', (thrown, expected) => {
  expect(reasonOf(thrown)).toBe(expected)
})

it('ends in a ring of causes', () => {
  const ring = new Error('round')
  ring.cause = new Error('and round', { cause: ring })
  expect(reasonOf(ring)).toBe('round: and round')
})
