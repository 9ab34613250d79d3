import { rename, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { typeName } from '../../src/dns/codes.ts'
import { parseZoneText } from '../../src/dns/zone-text.ts'
import { makeAuthority } from './support/authority.ts'
import { eventually } from './support/daemon.ts'
import { hearth, type RouterProgram, routerIn, UNREGISTERED } from './support/hearth.ts'
import { type Knot, startKnot } from './support/knot.ts'
import { freePort } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const RECORDS = String.raw`A 192.168.1.10
AAAA fd00::10
CNAME nas.example.
PTR nas
MX 10 mail
TXT plain "two words" "" "a \"b\" \\ \065\; \200"
HINFO "armv8" "linux"
RP admin.example. .
SRV 0 5 80 nas.example.
NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" .
CERT 1 0 0 q83v
DS 60485 13 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
SSHFP 4 2 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
TLSA 3 1 1 0011 2233445566778899aabbccddeeff00112233445566778899aabbccddeeff
SMIMEA 3 1 1 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff
OPENPGPKEY q83v
SVCB 16 foo.example.org. alpn="f\\\\oo\\,bar,h2"
SVCB 1 foo.example.com. key667="hello\210qoo"
SVCB 16 foo.example.org. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1
HTTPS 0 foo.example.
HTTPS 1 . port=53 ech=AEX+DQ== no-default-alpn alpn=h2
URI 10 1 "https://nas.home.example/"
CAA 0 issue "ca.example; policy=ev"
DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=
TYPE65280 \# 4 c0000201`.split('\n')

describe('zone-file text', () => {
  const scene = openScene()
  const text = RECORDS.map((record, index) => `r${index} 300 IN ${record}\n`).join('')
  let knot: Knot
  beforeAll(async () => {
    knot = await startKnot(scene, { 'text.example': text })
  })

  it.each(RECORDS.map((record, index) => [record, index] as const))(
    '%s: the same octets as Knot reads',
    async (_, index) => {
      const { records, problems } = parseZoneText(text, { name: 'text.example', ttl: 300 })
      expect(problems).toEqual([])
      const { name, type, rdata } = records[index]!
      const { stdout } = await kdig(knot.port, '+generic', '+norecurse', '+noall', '+answer', name, typeName(type))
      expect(stdout.replaceAll(/\s+/g, ' ').toLowerCase()).toContain(
        `\\# ${rdata.length} ${Buffer.from(rdata).toString('hex')}`,
      )
    },
  )
})

describe('a router without its WAN', () => {
  const scene = openScene()
  let router: RouterProgram
  let leases: string
  beforeAll(async () => {
    leases = await scene.write('dhcp.leases', '0 aa:bb:cc:dd:ee:01 192.168.1.20 tv *\n')
    const { rootPem } = await makeAuthority('nobody')
    router = await routerIn(scene, 'offline', {
      device: UNREGISTERED,
      directoryUrl: `https://127.0.0.1:${await freePort()}/directory`,
      trust: await scene.write('operator.pem', rootPem),
      lifetime: '1d',
      more: {
        local: {
          domain: 'lan',
          leases: [leases],
          zones: [{ name: 'home.example', records: ['nas 60 A 192.168.1.10', '*.apps CNAME nas'] }],
        },
      },
    })
    await router.start()
  })
  const short = async (...question: readonly string[]): Promise<string> =>
    (await kdig(router.ports.do53, '+short', ...question)).stdout

  it('answers its zones, its hosts and special names', async () => {
    expect(await short('nas.home.example')).toBe('192.168.1.10\n')
    expect(await short('blog.apps.home.example')).toBe('nas.home.example.\n192.168.1.10\n')
    expect(await short('tv.lan')).toBe('192.168.1.20\n')
    expect(await short('-x', '192.168.1.20')).toBe('tv.lan.\n')
    expect(await short('localhost', 'AAAA')).toBe('::1\n')
    for (const name of ['x.invalid', 'x.local', 'x.home.arpa', '7.1.168.192.in-addr.arpa'])
      expect((await kdig(router.ports.do53, name)).stdout).toMatch(/status: NXDOMAIN[^]*Flags: qr aa rd ra/)
  })

  it('lists the hosts it knows', async () => {
    const { stdout } = await hearth('local', 'show', '--config', router.settings)
    expect(stdout).toBe(`tv.lan  192.168.1.20 (lease file ${leases} line 1)\n`)
  })

  it('sees a lease file that is replaced', async () => {
    await writeFile(`${leases}.new`, '0 aa:bb:cc:dd:ee:01 192.168.1.21 tv *\n')
    await rename(`${leases}.new`, leases)
    await eventually(async () => expect(await short('tv.lan')).toBe('192.168.1.21\n'))
  })
})
