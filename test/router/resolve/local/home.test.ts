import { describe, expect, it } from 'vitest'
import { rdataText } from '../../../../src/dns/rdata.ts'
import { homeOf, type KnownHost } from '../../../../src/router/resolve/local/home.ts'

const NAMES = { domain: 'lan', ownName: 'cpe-7f3a.example.net' }
const NOW_MS = Date.UTC(2026, 10, 24)

const lease = (name: string, address: string, more: Partial<KnownHost> = {}): KnownHost => ({
  addresses: [address],
  names: [name],
  line: 1,
  file: '/tmp/dhcp.leases',
  kind: 'lease file',
  ...more,
})
const fixed = (names: string, address: string): KnownHost => ({
  ...lease('', address),
  names: names.split(' '),
  file: '/etc/hosts',
  kind: 'hosts file',
})
const home = (known: readonly KnownHost[], names: Partial<typeof NAMES> = {}, nowMs = NOW_MS) =>
  homeOf(known, { ...NAMES, ...names }, nowMs)
const recordsOf = (...args: Parameters<typeof home>): string[] =>
  home(...args).hosts.flatMap(({ records }) =>
    records.map(({ name, type, rdata }) => `${name} ${rdataText(type, rdata)}`),
  )

describe('the names of a host', () => {
  it('are in the domain of the home, in home.arpa and alone, and the address leads back', () => {
    expect(recordsOf([lease('nas', '192.168.1.10')])).toEqual([
      'nas.lan 192.168.1.10',
      'nas.home.arpa 192.168.1.10',
      'nas 192.168.1.10',
      '10.1.168.192.in-addr.arpa nas.lan.',
    ])
    expect(recordsOf([lease('nas', '192.168.1.10')], { domain: 'home.arpa' })).toEqual([
      'nas.home.arpa 192.168.1.10',
      'nas 192.168.1.10',
      '10.1.168.192.in-addr.arpa nas.home.arpa.',
    ])
  })

  it('with a domain in a hosts file are just that, unless it is the domain of the home', () => {
    expect(recordsOf([fixed('git.corp.example git', '10.0.0.5')])).toEqual([
      'git.corp.example 10.0.0.5',
      'git.lan 10.0.0.5',
      'git.home.arpa 10.0.0.5',
      'git 10.0.0.5',
      '5.0.0.10.in-addr.arpa git.corp.example.',
    ])
    expect(recordsOf([fixed('nas.lan', '10.0.0.5')])).toContain('nas.home.arpa 10.0.0.5')
    expect(recordsOf([fixed('a.b.lan', '10.0.0.5')])).toEqual(['a.b.lan 10.0.0.5', '5.0.0.10.in-addr.arpa a.b.lan.'])
  })

  it('are left away where they would be longer than names may be', () => {
    const domain = `${'a.'.repeat(110)}lan`
    expect(recordsOf([lease('x'.repeat(40), '192.168.1.10')], { domain })[0]).toMatch(/^x+\.home\.arpa /)
  })

  it('are there once, though a line has them with the domain and without', () => {
    expect(recordsOf([fixed('nas.lan nas', '192.168.1.10')])).toEqual([
      'nas.lan 192.168.1.10',
      'nas.home.arpa 192.168.1.10',
      'nas 192.168.1.10',
      '10.1.168.192.in-addr.arpa nas.lan.',
    ])
  })

  it('have no more addresses than fit in an answer', () => {
    const known = Array.from({ length: 100 }, (_, index) => fixed('nas', `192.168.1.${index}`))
    expect(home(known).hosts[0]?.records).toHaveLength(32)
  })

  it('say which file and line they are from, and what an address is called', () => {
    const { hosts, nameByAddress } = home([lease('nas', '192.168.1.10', { line: 3 })])
    expect(hosts.map(({ source }) => source)).toEqual(Array(4).fill('lease file /tmp/dhcp.leases line 3'))
    expect(nameByAddress.get('192.168.1.10')).toBe('nas.lan')
    const two = [lease('nas', '192.168.1.10', { line: 3 }), lease('nas', 'fd00::10', { line: 4 })]
    expect(home(two).status).toEqual([
      {
        name: 'nas.lan',
        addresses: ['fd00::10', '192.168.1.10'],
        source: 'lease file /tmp/dhcp.leases line 4, lease file /tmp/dhcp.leases line 3',
      },
    ])
  })
})

describe('who has a name that several want', () => {
  it('the hosts file, whole: a device cannot add an address to it', () => {
    const known = [
      lease('nas', '192.168.1.66'),
      lease('nas', 'fd00::66'),
      fixed('nas', '192.168.1.10'),
      fixed('nas', 'fd00::10'),
    ]
    expect(recordsOf(known).filter((text) => text.startsWith('nas.lan'))).toEqual([
      'nas.lan 192.168.1.10',
      'nas.lan fd00::10',
    ])
    expect(home(known).nameByAddress.has('192.168.1.66')).toBe(false)
  })

  it('the newest lease, for IPv4 and IPv6 apart', () => {
    const known = [
      lease('nas', '192.168.1.10', { expiresMs: NOW_MS + 1_000 }),
      lease('nas', '192.168.1.11', { expiresMs: NOW_MS + 9_000 }),
      lease('nas', '192.168.1.12', { expiresMs: NOW_MS + 5_000 }),
      lease('nas', 'fd00::10', { expiresMs: NOW_MS + 2_000, addresses: ['fd00::10', 'fd01::10'] }),
    ]
    expect(recordsOf(known).filter((text) => text.startsWith('nas.lan'))).toEqual([
      'nas.lan 192.168.1.11',
      'nas.lan fd00::10',
      'nas.lan fd01::10',
    ])
    expect([...home(known).nameByAddress.keys()]).toEqual(['192.168.1.11', 'fd00::10', 'fd01::10'])
  })

  it('all leases of one client, where there is one for each address', () => {
    const known = [
      lease('nas', 'fd00::10', { client: 'a' }),
      lease('nas', '2001:db8::10', { client: 'a', line: 2 }),
      lease('nas', 'fd00::66', { client: 'b', expiresMs: NOW_MS + 1 }),
    ]
    const { hosts } = home(known)
    expect(hosts[0]?.records.map(({ rdata }) => rdata)).toEqual([{ address: '2001:db8::10' }, { address: 'fd00::10' }])
    expect(hosts[0]?.source).toBe('lease file /tmp/dhcp.leases line 2, lease file /tmp/dhcp.leases line 1')
  })

  it('of two leases without an end, the one written later', () => {
    const known = [lease('nas', '192.168.1.10'), lease('nas', '192.168.1.11')]
    expect(home(known).nameByAddress.get('192.168.1.11')).toBe('nas.lan')
    expect(home(known).nameByAddress.has('192.168.1.10')).toBe(false)
  })

  it.each(['localhost', 'wpad', 'isatap', 'cpe-7f3a'])('no device is called %s', (name) => {
    expect(home([lease(name, '192.168.1.66')]).hosts).toEqual([])
  })

  it('a hosts file may say where wpad is, but not what localhost or our own name are', () => {
    expect(recordsOf([fixed('wpad', '192.168.1.5')])).toContain('wpad.lan 192.168.1.5')
    for (const name of ['localhost', 'x.localhost', '_dns.resolver.arpa', NAMES.ownName])
      expect(home([fixed(name, '192.168.1.66')]).hosts).toEqual([])
  })
})

describe('leases end', () => {
  const ending = (expiresMs: number) => lease('nas', '192.168.1.10', { expiresMs })

  it('by the wall clock, and the home says when it is to be made anew', () => {
    expect(home([ending(NOW_MS)]).hosts).toEqual([])
    const { hosts, staleAtMs } = home([ending(NOW_MS + 1), ending(NOW_MS + 5)])
    expect(hosts.length).toBeGreaterThan(0)
    expect(staleAtMs).toBe(NOW_MS + 1)
    expect(home([lease('nas', '192.168.1.10')]).staleAtMs).toBe(Infinity)
  })

  it('not by a clock that was never set; when it is set, they are judged', () => {
    const { hosts, staleAtMs } = home([ending(NOW_MS)], {}, 5_000)
    expect(hosts.length).toBeGreaterThan(0)
    expect(staleAtMs).toBeLessThan(NOW_MS)
    expect(staleAtMs).toBeGreaterThan(5_000)
  })
})

it('five thousand hosts are the most', () => {
  const known = Array.from({ length: 5_100 }, (_, index) => lease(`h${index}`, `10.0.${index >> 8}.${index & 255}`))
  expect(home(known).nameByAddress.size).toBe(5_000)
})
