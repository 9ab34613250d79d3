import { expect, it } from 'vitest'
import { cacheKey } from '../../../src/router/resolve/cache/key.ts'
import { groupFinder, withClientGroups } from '../../../src/router/resolve/client-group.ts'
import type { Client, Query } from '../../../src/router/resolve/resolver.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

const GROUPS = [
  { id: '192.168.1.64/26', networks: ['192.168.1.64/26'] },
  { id: '192.168.1.0/24 fd00::/8', networks: ['192.168.1.0/24', 'fd00::/8'] },
]
const NEVER = new AbortController().signal

function asks(client: Omit<Client, 'transport'>): { readonly asked: Query; readonly passed: Query } {
  const asked: Query = { ...queryOf(queryWire('a.example')), client: { transport: 'udp', ...client } }
  let passed: Query | undefined
  const next = resolverOf((query) => {
    passed = query
    return { kind: 'drop', reason: 'malformed' }
  })
  void withClientGroups(GROUPS)(next).resolve(asked, NEVER)
  return { asked, passed: passed! }
}

it('the first group that has the address counts', () => {
  const groupOf = groupFinder(GROUPS)
  expect(groupOf('192.168.1.65')).toBe('192.168.1.64/26')
  expect(groupOf('192.168.1.5')).toBe('192.168.1.0/24 fd00::/8')
  expect(groupOf('fd00::1')).toBe('192.168.1.0/24 fd00::/8')
  expect(groupOf('192.168.2.5')).toBeUndefined()
})

it('answers for a group are kept apart from those for others, and shared within it', () => {
  const [one, other, outside] = ['192.168.1.65', '192.168.1.66', '10.0.0.1'].map((address) => asks({ address }).passed)
  expect(cacheKey(one!)).toBe(cacheKey(other!))
  expect(cacheKey(one!)).not.toBe(cacheKey(outside!))
})

it('a client of no group is passed on as it came', () => {
  const { asked, passed } = asks({ address: '10.0.0.1' })
  expect(passed).toBe(asked)
})

it('another reason to tell clients apart is kept', () => {
  expect(asks({ address: '192.168.1.65', scope: 'children' }).passed.client.scope).toBe('children 192.168.1.64/26')
})
