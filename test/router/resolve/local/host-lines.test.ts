import { describe, expect, it } from 'vitest'
import { HOST_LINES_MAX, hostLabel, readHostsFile } from '../../../../src/router/resolve/local/host-lines.ts'
import { randomNumbers } from '../../../dns/hostile.ts'

describe('a hosts file', () => {
  it('gives addresses their names; comments, loopback and multicast are nobody', () => {
    const text = `# the house
127.0.0.1\tlocalhost
127.0.1.1 openwrt
::1 localhost ip6-localhost
ff02::1 ip6-allnodes
192.168.1.10  NAS nas.lan. # in the cellar

FD00::0010 nas printer_2
fe80::1%eth0 gate
0.0.0.0 ads.example
`
    expect(readHostsFile(text)).toEqual({
      hosts: [
        { addresses: ['192.168.1.10'], names: ['nas', 'nas.lan'], line: 6 },
        { addresses: ['fd00::10'], names: ['nas', 'printer_2'], line: 8 },
        { addresses: ['fe80::1'], names: ['gate'], line: 9 },
        { addresses: ['0.0.0.0'], names: ['ads.example'], line: 10 },
      ],
    })
  })

  it.each([
    ['192.168.1 nas', '"192.168.1" is no address'],
    ['nas 192.168.1.1', '"nas" is no address'],
    ['192.168.1.1', 'the address has no name'],
    ['192.168.1.1 na/s', '"na/s" is no host name'],
    [`192.168.1.1 ${'a'.repeat(64)}`, `"${'a'.repeat(60)}" is no host name`],
    [`192.168.1.1 ${'a.'.repeat(130)}x`, `"${'a.'.repeat(30)}" is no host name`],
    [`192.168.1.1 ${'n '.repeat(3_000)}`, 'it is longer than 4096 characters'],
  ])('a line such as %s is left out, the others stay', (line, problem) => {
    const { hosts, damaged } = readHostsFile(`192.168.1.2 a\n${line}\n${line}\n192.168.1.3 b`)
    expect(hosts.map(({ names }) => names[0])).toEqual(['a', 'b'])
    expect(damaged).toEqual({ line: 2, problem, count: 2 })
  })

  it('has an end', () => {
    const { hosts, damaged } = readHostsFile('192.168.1.2 a\n'.repeat(HOST_LINES_MAX + 5))
    expect(hosts).toHaveLength(HOST_LINES_MAX)
    expect(damaged).toMatchObject({ line: HOST_LINES_MAX + 1 })
  })

  it('of any content is read without an exception', () => {
    const next = randomNumbers(11)
    const alphabet = ' \t\n\r#.:%0129afAFx-_\\*\u00fc'
    for (let run = 0; run < 20_000; run++) {
      const text = Array.from({ length: next() % 80 }, () => alphabet[next() % alphabet.length]).join('')
      for (const { names, addresses } of readHostsFile(text).hosts)
        if (names.length === 0 || addresses.length !== 1) throw new Error(JSON.stringify(text))
    }
    expect(readHostsFile('').hosts).toEqual([])
  })
})

describe('what a device calls itself', () => {
  it.each([
    ['nas', 'nas'],
    ['Johns-iPhone', 'johns-iphone'],
    ["John's iPhone", 'john-s-iphone'],
    ['pc.corp.example', 'pc'],
    ['under_score', 'under-score'],
    ['-x-', 'x'],
    ['Küche', 'k-che'],
    ['a'.repeat(70), 'a'.repeat(63)],
    [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
    ['*', undefined],
    ['-', undefined],
    ['', undefined],
    ['...', undefined],
    ['broken\\x20name', undefined],
    ['???', undefined],
  ])('%s becomes %s', (text, label) => {
    expect(hostLabel(text)).toBe(label)
  })
})
