import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import { parseSettings, section } from '../../../src/core/settings.ts'
import { TYPE } from '../../../src/dns/codes.ts'
import { LOCAL_SETTINGS, type LocalConfig, localConfigOf } from '../../../src/router/settings/local.ts'
import { settingsFiles } from '../../../src/router/settings/values.ts'

const TABLE = section('', { local: LOCAL_SETTINGS })

async function load(text: string, zoneFile?: string): Promise<LocalConfig & { readonly directory: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-local-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  if (zoneFile !== undefined) await writeFile(join(directory, 'zone'), zoneFile)
  const settings = parseSettings(TABLE, text, 'hearth.yaml')
  return { ...(await localConfigOf(settings.local, settingsFiles(directory))), directory }
}

async function problemsOf(text: string, zoneFile?: string): Promise<string[]> {
  const error: unknown = await load(text, zoneFile).catch((thrown: unknown) => thrown)
  if (!(error instanceof Fault)) throw new Error('the settings were accepted')
  expect(error.code).toBe('CONFIG_INVALID')
  return error.message.replaceAll(/\/\S*\/(?=zone)/g, '').split('\n')
}

describe('local:', () => {
  it('may be left out', async () => {
    expect(await load('{}')).toMatchObject({ domain: 'home.arpa', zones: [], hostFiles: [], forward: [] })
  })

  it('names files relative to the settings; leases have a format or are looked at', async () => {
    const { directory, ...config } = await load(`local:
  domain: lan
  hosts: [/etc/hosts, hosts]
  leases:
    - /tmp/dhcp.leases
    - { file: odhcpd.leases, format: odhcpd }
    - { file: other.leases }
  special-names: { forward: [10.in-addr.arpa, 5.168.192.in-addr.arpa, test, in-addr.arpa, home.arpa] }
`)
    expect(config).toEqual({
      domain: 'lan',
      zones: [],
      hostFiles: [
        { path: '/etc/hosts', kind: 'hosts file', format: 'auto' },
        { path: join(directory, 'hosts'), kind: 'hosts file', format: 'auto' },
        { path: '/tmp/dhcp.leases', kind: 'lease file', format: 'auto' },
        { path: join(directory, 'odhcpd.leases'), kind: 'lease file', format: 'odhcpd' },
        { path: join(directory, 'other.leases'), kind: 'lease file', format: 'auto' },
      ],
      forward: ['10.in-addr.arpa', '5.168.192.in-addr.arpa', 'test', 'in-addr.arpa', 'home.arpa'],
    })
  })

  it('has zones with records, from a file too', async () => {
    const { zones, directory } = await load(
      `local:
  zones:
    - name: home.example
      records: ["nas 60 A 192.168.1.10", "* CNAME nas"]
      file: zone
      fallthrough: true
    - name: lan
`,
      '$TTL 5\n\nmail MX 10 nas\n',
    )
    expect(zones).toMatchObject([
      {
        name: 'home.example',
        fallthrough: true,
        records: [
          { name: 'nas.home.example', type: TYPE.A, ttl: 60, source: 'local zone home.example' },
          { name: '*.home.example', type: TYPE.CNAME, ttl: 300 },
          { name: 'mail.home.example', ttl: 5, source: `zone file ${join(directory, 'zone')} line 3` },
        ],
      },
      { name: 'lan', records: [], fallthrough: false },
    ])
  })
})

describe('what is wrong is said with its place', () => {
  it('in a record, in its line of the settings', async () => {
    const text = `local:
  zones:
    - name: home.example
      records:
        - "nas 60 A 192.168.1"
        - nas TXT hello
        - nas CNAME other
`
    expect(await problemsOf(text)).toEqual([
      'hearth.yaml:5:11 local.zones.0.records.0: at character 10: expected an IPv4 address, got "192.168.1" (such as `A 192.168.1.10`)',
      'hearth.yaml:7:11 local.zones.0.records.2: a name with a CNAME can have nothing else (remove the CNAME or the other records)',
    ])
  })

  it('in a zone file, in its line there', async () => {
    const text = 'local: { zones: [{ name: home.example, records: [nas A 192.168.1.10], file: zone }] }'
    expect(await problemsOf(text, 'a A 1.2.3.4\nb AAAA 1.2.3.4\n')).toEqual([
      'local.zones.0.file: zone:2:8: expected an IPv6 address, got "1.2.3.4" (such as `AAAA fd00::10`)',
    ])
    expect(await problemsOf(text, 'a A 1.2.3.4\nnas CNAME b\n')).toEqual([
      'local.zones.0.file: zone file zone line 2: a name with a CNAME can have nothing else (remove the CNAME or the other records)',
    ])
    expect(await problemsOf(text)).toEqual(['local.zones.0.file: cannot read zone'])
  })

  it.each([
    ['zones: [{ name: localhost }]', '1:26 local.zones.0.name: localhost is always answered by the router itself'],
    [
      'zones: [{ name: lan }, { name: lan }]',
      '1:41 local.zones.1.name: the zone lan is given twice (put all its records in one)',
    ],
    ['domain: resolver.arpa', '1:18 local.domain: resolver.arpa is no place for hosts (lan or home.arpa are)'],
    [
      'special-names: { forward: [x.localhost] }',
      '1:37 local.special-names.forward.0: x.localhost is never asked upstream (clients would be led astray)',
    ],
    [
      'special-names: { forward: [corp.example] }',
      '1:37 local.special-names.forward.0: corp.example is no special name (it is asked upstream without being here)',
    ],
    [
      'leases: [{ file: a, format: dhcpd }]',
      '1:19 local.leases.0: expected auto, dnsmasq or odhcpd, got "dhcpd" (did you mean `odhcpd`?)',
    ],
    ['leases: [{ path: a }]', '1:19 local.leases.0: unknown key "path" (known here: file, format)'],
    ['leases: [{ format: auto }]', '1:19 local.leases.0: file is missing (write { file: /tmp/dhcp.leases })'],
    ['leases: [7]', '1:19 local.leases.0: expected the path of a file, got 7'],
  ])('%s', async (text, expected) => {
    expect(await problemsOf(`local: { ${text} }`)).toEqual([`hearth.yaml:${expected}`])
  })
})
