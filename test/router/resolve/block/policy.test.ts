import { expect, it } from 'vitest'
import { type Policy, policyFinder } from '../../../../src/router/resolve/block/policy.ts'

const everybody: Policy = { lists: 1, answer: 'nxdomain' }
const group = (name: string, clients: readonly string[], lists: number) =>
  ({ group: name, clients, lists, answer: 'zero' }) as const

it('the first group that has a client counts, and everybody else has the same policy', () => {
  const policyOf = policyFinder(everybody, [
    group('tablet', ['192.168.1.70'], 2),
    group('kids', ['192.168.1.64/26', 'fd00:1::/64'], 4),
  ])
  expect(policyOf('192.168.1.70').group).toBe('tablet')
  expect(policyOf('192.168.1.71').group).toBe('kids')
  expect(policyOf('fd00:1::9').group).toBe('kids')
  expect(policyOf('192.168.1.63')).toBe(everybody)
})

it('remembers no more than it may, and the verdicts stay right', () => {
  const policyOf = policyFinder(everybody, [group('low', ['10.0.0.0/9'], 2)])
  for (let index = 0; index < 10_000; index++)
    expect(policyOf(`10.${index % 256}.${index >> 8}.1`).group).toBe(index % 256 < 128 ? 'low' : undefined)
})
