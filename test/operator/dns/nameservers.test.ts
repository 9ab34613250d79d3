import { describe, expect, it } from 'vitest'
import { nameServersOf, type SystemResolver } from '../../../src/operator/dns/nameservers.ts'

type Kind = 'CNAME' | 'NS' | 'A' | 'AAAA'

function resolverOf(records: Readonly<Record<string, readonly string[]>>): SystemResolver & { asked: string[] } {
  const asked: string[] = []
  const find = (kind: Kind) => async (name: string) => {
    asked.push(`${name} ${kind}`)
    const found = records[`${name} ${kind}`]
    if (!found) throw Object.assign(new Error('no such record'), { code: 'ENODATA' })
    return found
  }
  return { asked, resolveCname: find('CNAME'), resolveNs: find('NS'), resolve4: find('A'), resolve6: find('AAAA') }
}

describe('the name servers of a challenge', () => {
  it('are those of the nearest zone above, each with its addresses', async () => {
    const resolver = resolverOf({
      'cpe.example NS': ['ns1.example', 'ns2.example'],
      'example NS': ['never.example'],
      'ns1.example A': ['192.0.2.1'],
      'ns1.example AAAA': ['2001:db8::1'],
      'ns2.example A': ['192.0.2.2'],
    })
    expect(await nameServersOf('_acme-challenge.cpe-1.cpe.example', resolver)).toEqual([
      {
        name: 'ns1.example',
        addresses: [
          { host: '192.0.2.1', port: 53 },
          { host: '2001:db8::1', port: 53 },
        ],
      },
      { name: 'ns2.example', addresses: [{ host: '192.0.2.2', port: 53 }] },
    ])
  })

  it('are those of the zone a CNAME leads to', async () => {
    const resolver = resolverOf({
      '_acme-challenge.cpe-1.cpe.example CNAME': ['cpe-1.acme.example'],
      'cpe.example NS': ['never.example'],
      'acme.example NS': ['ns.example'],
      'ns.example A': ['192.0.2.1'],
    })
    const servers = await nameServersOf('_acme-challenge.cpe-1.cpe.example', resolver)
    expect(servers.map(({ name }) => name)).toEqual(['ns.example'])
  })

  it('are bounded: a ring of CNAMEs, a long list of servers, a long list of addresses', async () => {
    const many = (count: number, of: (index: number) => string) =>
      Array.from({ length: count }, (_, index) => of(index))
    const ring = resolverOf({ 'a.example CNAME': ['b.example'], 'b.example CNAME': ['a.example'] })
    expect(await nameServersOf('a.example', ring)).toEqual([])
    expect(ring.asked.filter((line) => line.endsWith('CNAME'))).toHaveLength(8)
    const names = many(100, (index) => `ns${index}.example`)
    const addresses = names.map((name) => [`${name} A`, many(9, (index) => `192.0.2.${index}`)] as const)
    const servers = await nameServersOf(
      'a.example',
      resolverOf({ 'example NS': names, ...Object.fromEntries(addresses) }),
    )
    expect(servers).toHaveLength(16)
    expect(servers[0]!.addresses).toHaveLength(4)
  })

  it('are none when nobody knows the zone, or no server has an address', async () => {
    expect(await nameServersOf('_acme-challenge.cpe-1.cpe.example', resolverOf({}))).toEqual([])
    expect(await nameServersOf('a.example', resolverOf({ 'example NS': ['ns.example'] }))).toEqual([])
  })
})
