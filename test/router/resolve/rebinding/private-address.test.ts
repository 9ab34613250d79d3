import { describe, expect, it } from 'vitest'
import { addressToBytes } from '../../../../src/dns/address.ts'
import { isPrivateIpv4, isPrivateIpv6 } from '../../../../src/router/resolve/rebinding/private-address.ts'

/** The address stands somewhere inside a message. */
function isPrivate(address: string, loopbackAllowed = false): boolean {
  const octets = addressToBytes(address)!
  const wire = Uint8Array.from([0xff, 0xff, 0xff, ...octets, 0xff])
  return (octets.length === 4 ? isPrivateIpv4 : isPrivateIpv6)(wire, 3, loopbackAllowed)
}

describe('SEC-2: what no name of the Internet should lead to', () => {
  it.each([
    ['0.0.0.0', '0.255.255.255'],
    ['10.0.0.0', '10.255.255.255'],
    ['100.64.0.0', '100.127.255.255'],
    ['127.0.0.0', '127.255.255.255'],
    ['169.254.0.0', '169.254.255.255'],
    ['172.16.0.0', '172.31.255.255'],
    ['192.168.0.0', '192.168.255.255'],
    ['::', '::1'],
    ['fc00::', 'fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['fe80::', 'febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['::ffff:10.0.0.1', '::ffff:192.168.1.1'],
    ['::127.0.0.1', '::192.168.1.1'],
    ['64:ff9b::10.0.0.1', '64:ff9b::192.168.255.255'],
  ])('%s to %s', (first, last) => {
    expect([isPrivate(first), isPrivate(last)]).toEqual([true, true])
  })

  it.each([
    '1.0.0.0',
    '9.255.255.255',
    '11.0.0.0',
    '100.63.255.255',
    '100.128.0.0',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.255.255',
    '169.255.0.0',
    '172.15.255.255',
    '172.32.0.0',
    '192.167.255.255',
    '192.169.0.0',
    '192.0.0.170',
    'fbff::1',
    'fe00::1',
    'fec0::1',
    '2001:db8::1',
    '::ffff:192.0.2.1',
    '::192.0.2.1',
    '::1:0:0:1',
    '64:ff9b::192.0.2.1',
    '64:ff9b:1::10.0.0.1',
  ])('not %s', (address) => expect(isPrivate(address)).toBe(false))

  it('127/8 where that is allowed, and nothing else', () => {
    expect(['127.0.0.2', '::ffff:127.0.0.2', '10.0.0.1', '::1'].map((address) => isPrivate(address, true))).toEqual([
      false,
      false,
      true,
      true,
    ])
  })
})
