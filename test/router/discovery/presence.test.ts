import { describe, expect, it } from 'vitest'
import {
  designations,
  encryptedEndpoints,
  mayDesignate,
  type Presence,
} from '../../../src/router/discovery/presence.ts'

const HOME: Presence = {
  name: 'dns.cpe-7f3a.example.net',
  addresses: ['192.168.1.1'],
  do53Port: 53,
  endpoints: encryptedEndpoints({ dot: 853, doh: 443 }),
  certificate: { notAfterMs: Number.POSITIVE_INFINITY, ipAddresses: [] },
}

describe('designations', () => {
  it('are one record per protocol, the port only where it is not the usual one', () => {
    expect(designations(HOME)).toEqual([
      { priority: 1, target: HOME.name, params: { alpn: ['dot'] } },
      { priority: 2, target: HOME.name, params: { alpn: ['h2'], dohpath: '/dns-query{?dns}' } },
    ])
    expect(designations({ ...HOME, endpoints: encryptedEndpoints({ dot: 443, doh: 853 }) })).toMatchObject([
      { params: { port: 443 } },
      { params: { port: 853 } },
    ])
  })

  it('name what is there, and nothing else', () => {
    expect(
      designations({ ...HOME, endpoints: encryptedEndpoints({ dot: 853 }) }).map(({ params }) => params.alpn),
    ).toEqual([['dot']])
    expect(
      designations({ ...HOME, endpoints: encryptedEndpoints({ doh: 443 }) }).map(({ priority }) => priority),
    ).toEqual([2])
    expect(designations({ ...HOME, endpoints: [] })).toEqual([])
  })
})

describe('mayDesignate', () => {
  const may = (changed: Partial<Presence>, ipAddresses: readonly string[] = []): boolean =>
    mayDesignate({ ...HOME, certificate: { notAfterMs: Number.POSITIVE_INFINITY, ipAddresses }, ...changed })

  it.each(['192.168.1.1', '10.0.0.1', '127.0.0.1', 'fd7f:3a00:1::1', 'fe80::1'])(
    'on the private address %s: opportunistic clients come',
    (address) => {
      expect(may({ addresses: [address] })).toBe(true)
    },
  )

  it('on a public address that the certificate carries', () => {
    expect(may({ addresses: ['2001:db8::1'] }, ['2001:db8::1'])).toBe(true)
    expect(may({ addresses: ['192.168.1.1', '192.0.2.1'] }, ['192.0.2.1', '192.0.2.2'])).toBe(true)
  })

  it('not when one public address is missing in the certificate', () => {
    expect(may({ addresses: ['192.0.2.1'] })).toBe(false)
    expect(may({ addresses: ['192.168.1.1', '192.0.2.1'] }, ['192.0.2.2'])).toBe(false)
  })

  it('not without certificate, endpoints or addresses', () => {
    const { certificate: _, ...bare } = HOME
    expect(mayDesignate(bare)).toBe(false)
    expect(may({ endpoints: [] })).toBe(false)
    expect(may({ addresses: [] })).toBe(false)
  })
})
