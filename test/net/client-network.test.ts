import { describe, expect, it } from 'vitest'
import { clientNetwork } from '../../src/net/client-network.ts'

describe('one client is', () => {
  it('an IPv4 address', () => {
    expect(clientNetwork('192.0.2.1')).toBe('192.0.2.1')
    expect(clientNetwork('192.0.2.1')).not.toBe(clientNetwork('192.0.2.2'))
  })

  it('a /64 of IPv6, however it is written', () => {
    const client = clientNetwork('2001:db8:0:1::1')
    for (const same of ['2001:db8:0:1:ffff:ffff:ffff:ffff', '2001:0db8:0000:0001::', '2001:DB8::1:0:0:0:9'])
      expect(clientNetwork(same)).toBe(client)
    expect(clientNetwork('2001:db8:0:2::1')).not.toBe(client)
  })

  it('whatever has no address, by its text', () => {
    expect(clientNetwork('')).toBe('')
    expect(clientNetwork('not:an:address')).toBe('not:an:address')
  })
})
