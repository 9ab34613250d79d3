import { describe, expect, it } from 'vitest'
import { readLeases } from '../../../../src/router/resolve/local/leases.ts'
import { randomNumbers } from '../../../dns/hostile.ts'

const DNSMASQ = `1795600000 aa:bb:cc:dd:ee:01 192.168.1.10 nas 01:aa:bb:cc:dd:ee:01
0 aa:bb:cc:dd:ee:02 192.168.1.11 Johns-iPhone *
1795600000 06-aa:bb:cc:dd:ee:03 192.168.1.12 * *
3600 aa:bb:cc:dd:ee:04 192.168.1.13 no-clock *
duid 00:01:00:01:2c:00:00:00:aa:bb:cc:dd:ee:ff
1795600001 12345 fd00::abc nas 00:01:00:01:aa
1795600001 T6789 fd00::abd laptop 00:01:00:01:ab
`
const ODHCPD = `# br-lan 00030001aabbccddee01 1 nas 1795600000 10 128 fd00::10/128 2001:db8::10/128
fd00::10\tnas
2001:db8::10\tnas
# br-lan aabbccddee02 ipv4 tv -1 c0a80114 32 192.168.1.20/32
# br-lan 00030001aabbccddee03 2 router2 1795600000 0 62 fd00:0:0:4::/62
# br-lan 00030001aabbccddee04 3 - 1795600000 11 128 fd00::11/128
# br-lan 00030001aabbccddee05 4 broken\\x20x 1795600000 12 128 fd00::12/128
`

describe('dnsmasq leases', () => {
  const expected = [
    { addresses: ['192.168.1.10'], names: ['nas'], line: 1, client: 'aa:bb:cc:dd:ee:01', expiresMs: 1_795_600_000_000 },
    { addresses: ['192.168.1.11'], names: ['johns-iphone'], line: 2, client: 'aa:bb:cc:dd:ee:02' },
    { addresses: ['192.168.1.13'], names: ['no-clock'], line: 4, client: 'aa:bb:cc:dd:ee:04' },
    { addresses: ['fd00::abc'], names: ['nas'], line: 6, client: '00:01:00:01:aa', expiresMs: 1_795_600_001_000 },
    { addresses: ['fd00::abd'], names: ['laptop'], line: 7, client: '00:01:00:01:ab', expiresMs: 1_795_600_001_000 },
  ]
  it.each(['auto', 'dnsmasq'] as const)('read as %s', (format) => {
    expect(readLeases(DNSMASQ, format)).toEqual({ hosts: expected })
  })
})

describe('odhcpd leases', () => {
  const expected = [
    {
      addresses: ['fd00::10', '2001:db8::10'],
      names: ['nas'],
      line: 1,
      client: '00030001aabbccddee01',
      expiresMs: 1_795_600_000_000,
    },
    { addresses: ['192.168.1.20'], names: ['tv'], line: 4, client: 'aabbccddee02' },
  ]
  it.each(['auto', 'odhcpd'] as const)('read as %s', (format) => {
    expect(readLeases(ODHCPD, format)).toEqual({ hosts: expected })
  })
})

describe('damaged leases', () => {
  it.each([
    ['soon aa:bb 192.168.1.10 nas *', 'it does not begin with a time'],
    ['1795600000 aa:bb 192.168.1.10', 'it does not have the five values of a dnsmasq lease'],
    ['1795600000 aa:bb 192.168.1.10 nas * more', 'it does not have the five values of a dnsmasq lease'],
    ['1795600000 aa:bb 192.168.1 nas *', '"192.168.1" is no address of a host'],
    ['1795600000 aa:bb 127.0.0.1 nas *', '"127.0.0.1" is no address of a host'],
  ])('%s', (line, problem) => {
    expect(readLeases(`${line}\n${DNSMASQ}`, 'auto')).toMatchObject({
      hosts: { length: 5 },
      damaged: { line: 1, problem, count: 1 },
    })
  })

  it.each([
    ['# br-lan x', 'it does not have the values of an odhcpd lease'],
    ['# br-lan x 1 nas soon 1 128 fd00::1/128', 'its fifth value is no time'],
    ['# br-lan x 1 nas 1 1 128 ::1/128', '"::1" is no address of a host'],
  ])('%s', (line, problem) => {
    expect(readLeases(`${ODHCPD}${line}`, 'auto')).toMatchObject({
      hosts: { length: 2 },
      damaged: { problem, count: 1 },
    })
  })

  it('of any kind are no exception', () => {
    const next = randomNumbers(13)
    for (let run = 0; run < 10_000; run++) {
      const characters = Array.from(run % 2 === 0 ? DNSMASQ : ODHCPD)
      for (let changes = 1 + (next() % 10); changes > 0; changes--) {
        const at = next() % characters.length
        if (next() % 2 === 0) characters.splice(at, next() % 30)
        else characters[at] = ' \n#*/:.0a\\\u00fc'[next() % 11]!
        if (characters.length === 0) characters.push('#')
      }
      for (const { names, addresses } of readLeases(characters.join(''), 'auto').hosts)
        if (!/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(names[0]!) || addresses.length === 0)
          throw new Error(characters.join(''))
    }
    expect(readLeases('', 'auto').hosts).toEqual([])
  })
})
