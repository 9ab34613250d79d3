import { networkInterfaces } from 'node:os'
import { describe, expect, it } from 'vitest'
import { defaultRoutes4, defaultRoutes6, readLink } from '../../src/net/link.ts'

describe('default routes', () => {
  it('of IPv4: interface and gateway, without counters', () => {
    const table = [
      'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
      'pppoe-wan\t00000000\t0100400A\t0003\t0\t7\t0\t00000000\t0\t0\t0',
      'br-lan\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0',
      'tun0\t00000000\t0100080A\t0003\t0\t0\t0\t00000080\t0\t0\t0',
      '',
    ].join('\n')
    expect(defaultRoutes4(table)).toEqual(['pppoe-wan via 0100400A'])
  })

  it('of IPv6: no links, no networks, not the row that leads nowhere', () => {
    const none = '0'.repeat(32)
    const gateway = `fe80${'0'.repeat(27)}1`
    const table = [
      `${gateway} 40 ${none} 00 ${none} 00000100 00000001 00000000 00000001     eth0`,
      `${none} 00 ${none} 00 ${gateway} 00000400 00000002 00000009 00000003     eth0`,
      `${none} 00 ${none} 00 ${none} ffffffff 00000001 00000000 00200200       lo`,
      'cut off',
    ].join('\n')
    expect(defaultRoutes6(table)).toEqual([`eth0 via ${gateway}`])
  })
})

it('reads this machine: all addresses, and the same way twice', async () => {
  const link = await readLink()
  const first = Object.values(networkInterfaces()).flat()[0]!
  expect(link.addresses).toContain(first.address)
  expect(link.way).not.toContain('127.0.0.1')
  expect((await readLink()).way).toBe(link.way)
})
