import { BlockList } from 'node:net'
import { describe, expect, it } from 'vitest'
import { addToAccess, isAccessEntry, isPrivateAddress, plainAddress } from '../../src/net/address.ts'

describe('plainAddress', () => {
  it.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['192.0.2.1', '192.0.2.1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:0:1', '::ffff:0:1'],
    ['::1', '::1'],
    ['', ''],
  ])('%j is %j', (address, plain) => expect(plainAddress(address)).toBe(plain))
})

describe('isPrivateAddress', () => {
  it.each([
    '10.0.0.1',
    '172.16.0.1',
    '192.168.255.255',
    '169.254.1.1',
    '127.0.0.1',
    '::1',
    'fd00::1',
    'fc00::',
    'fe80::1',
    'febf::1',
  ])('%s is', (address) => expect(isPrivateAddress(address)).toBe(true))
  it.each([
    '9.255.255.255',
    '11.0.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.0.1',
    '192.0.2.1',
    '100.64.0.1', // RFC 6598: other customers of the ISP
    '2001:db8::1',
    'fe00::',
    'fec0::1',
    '::',
    '',
    'lan',
  ])('%j is not', (address) => expect(isPrivateAddress(address)).toBe(false))
})

describe('access entries', () => {
  it.each(['lan', '192.0.2.1', '192.0.2.0/24', '0.0.0.0/0', '192.0.2.1/32', '2001:db8::/32', '::/0', '::1/128', '::1'])(
    '%s is one',
    (entry) => {
      expect(isAccessEntry(entry)).toBe(true)
      expect(() => addToAccess(new BlockList(), entry)).not.toThrow()
    },
  )

  it.each([
    '',
    'LAN',
    'wan',
    'example.net',
    '192.0.2',
    '192.0.2.0/',
    '192.0.2.0/33',
    '192.0.2.0/-1',
    '192.0.2.0/8.0',
    '192.0.2.0/2e1',
    '192.0.2.0/24/8',
    '2001:db8::/129',
    'fe80::1%eth0',
    'fe80::%eth0/64',
    '/24',
    '/',
  ])('%j is not', (entry) => expect(isAccessEntry(entry)).toBe(false))

  it('lan is what isPrivateAddress says', () => {
    const list = new BlockList()
    addToAccess(list, 'lan')
    for (const address of ['10.1.1.1', '192.0.2.1', '172.31.1.1', '172.32.1.1'])
      expect(list.check(address, 'ipv4')).toBe(isPrivateAddress(address))
    for (const address of ['fd00::1', '2001:db8::1', '::1'])
      expect(list.check(address, 'ipv6')).toBe(isPrivateAddress(address))
  })
})
