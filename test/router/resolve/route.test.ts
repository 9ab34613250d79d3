import { describe, expect, it } from 'vitest'
import type { ClientGroup } from '../../../src/router/resolve/client-group.ts'
import type { Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { createRouter, groupsOf, type Route } from '../../../src/router/resolve/route.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

const NEVER = new AbortController().signal
const GUESTS: ClientGroup = { id: '192.168.3.0/24', networks: ['192.168.3.0/24'] }

const to = (id: string, where: Pick<Route, 'domain' | 'group'> = {}): Route => ({
  ...where,
  to: resolverOf(async ({ view }) => ({ kind: 'answer', wire: view.wire, from: id }), id),
  upstreams: [id],
})

async function goesTo(resolver: Resolver, name: string, client = '192.168.1.2'): Promise<string> {
  const query: Query = { ...queryOf(queryWire(name)), client: { address: client, transport: 'udp' } }
  const outcome = await resolver.resolve(query, NEVER)
  return outcome.kind === 'answer' ? outcome.from : outcome.reason
}

describe('routes by name', () => {
  const { resolver, explain } = createRouter([
    to('default'),
    to('corp', { domain: 'corp.example' }),
    to('lab', { domain: 'lab.corp.example' }),
    to('reverse', { domain: '10.in-addr.arpa' }),
  ])

  it.each([
    ['example', 'default'],
    ['corp.example', 'corp'],
    ['CORP.Example', 'corp'],
    ['a.b.corp.example', 'corp'],
    ['lab.corp.example', 'lab'],
    ['x.lab.corp.example', 'lab'],
    ['notcorp.example', 'default'],
    ['corp.example.net', 'default'],
    ['4.3.2.10.in-addr.arpa', 'reverse'],
    ['110.in-addr.arpa', 'default'],
    ['.', 'default'],
  ])('%s goes to %s: the longest domain counts, label by label', async (name, upstream) => {
    expect(await goesTo(resolver, name)).toBe(upstream)
    expect(explain({ name, type: 1 }, '192.168.1.2')?.says).toContain(`goes to ${upstream} `)
  })

  it('octets that look like a label inside another one lead nowhere', async () => {
    expect(await goesTo(resolver, String.raw`a\004corp\007example`)).toBe('default')
    expect(await goesTo(resolver, String.raw`x\.corp.example`)).toBe('default')
  })

  it('says the same in words, and asks nobody', () => {
    expect(explain({ name: 'x.corp.example', type: 1 }, '192.168.1.2')).toEqual({
      layer: 'upstreams',
      says: 'goes to corp (route corp.example)',
      decides: true,
    })
  })

  it('what a route says is final: a failure does not send the question elsewhere', async () => {
    const failing = resolverOf(async ({ view }) => ({ kind: 'answer', wire: view.wire, from: 'failed' }))
    const elsewhere = to('default')
    const strict = createRouter([elsewhere, { domain: 'corp.example', to: failing, upstreams: ['corp'] }])
    expect(await goesTo(strict.resolver, 'a.corp.example')).toBe('failed')
    expect((elsewhere.to as unknown as { asked: number }).asked).toBe(0)
  })
})

describe('routes by client', () => {
  const { resolver, explain } = createRouter([
    to('default'),
    to('corp', { domain: 'corp.example' }),
    to('filtered', { group: GUESTS }),
    to('guests of corp', { domain: 'guests.corp.example', group: GUESTS }),
    to('nothing for guests', { domain: 'both.example', group: GUESTS }),
    to('both', { domain: 'both.example' }),
  ])

  it.each([
    ['example', '192.168.1.2', 'default'],
    ['example', '192.168.3.9', 'filtered'],
    ['a.corp.example', '192.168.3.9', 'corp'],
    ['guests.corp.example', '192.168.3.9', 'guests of corp'],
    ['guests.corp.example', '192.168.1.2', 'corp'],
    ['both.example', '192.168.3.9', 'nothing for guests'],
    ['both.example', '192.168.1.2', 'both'],
  ])('%s from %s goes to %s: the longest domain first, then the own route', async (name, client, upstream) => {
    expect(await goesTo(resolver, name, client)).toBe(upstream)
    expect(explain({ name, type: 1 }, client)?.says).toContain(`goes to ${upstream} `)
  })

  it('names the clients', () => {
    expect(explain({ name: 'example', type: 1 }, '192.168.3.9')?.says).toBe(
      'goes to filtered (default route for 192.168.3.0/24)',
    )
  })

  it('each group once', () => {
    expect(groupsOf([to('a', { group: GUESTS }), to('b'), to('c', { group: GUESTS })])).toEqual([GUESTS])
  })
})

it('one route for everything is no layer at all', () => {
  const only = to('default')
  expect(createRouter([only]).resolver).toBe(only.to)
})
