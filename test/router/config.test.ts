import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import type { Override } from '../../src/core/settings.ts'
import { loadRouterConfig, type RouterConfig } from '../../src/router/config.ts'
import { TestAuthority } from '../support/tls.ts'

const SMALLEST = `identity:
  name: cpe-7f3a.example.net
  acme-delegation:
    directory: https://acme.isp.example/directory
    eab: { kid: device-7f3a, key-file: eab.key }
upstreams:
  - url: udp://192.0.2.53
`

/** A settings file with its key file, in a directory of their own. */
async function directoryWith(text: string, files: Readonly<Record<string, string>> = {}): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-config-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  for (const [name, content] of Object.entries({ 'hearth.yaml': text, 'eab.key': 'c2VjcmV0\n', ...files }))
    await writeFile(join(directory, name), content, { mode: 0o600 })
  return directory
}

const set = (path: string, value: string): Override => ({ path: path.split('.'), value })

async function load(
  text: string,
  overrides: readonly Override[] = [],
  files: Readonly<Record<string, string>> = {},
): Promise<RouterConfig> {
  return loadRouterConfig(join(await directoryWith(text, files), 'hearth.yaml'), overrides)
}

/** The problems, without the directory of the test. */
async function problemsOf(
  text: string,
  overrides: readonly Override[] = [],
  files: Readonly<Record<string, string>> = {},
): Promise<string[]> {
  const directory = await directoryWith(text, files)
  const error: unknown = await loadRouterConfig(join(directory, 'hearth.yaml'), overrides).catch(
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof Fault)) throw new Error('the settings were accepted')
  expect(error.code).toBe('CONFIG_INVALID')
  return error.message.replaceAll(`${directory}/`, '').split('\n')
}

describe('a good file', () => {
  it('needs a name, an operator and an upstream; all else has a default', async () => {
    const directory = await directoryWith(SMALLEST)
    expect(await loadRouterConfig(join(directory, 'hearth.yaml'))).toEqual({
      state: join(directory, 'state'),
      log: 'info',
      identity: {
        name: 'cpe-7f3a.example.net',
        acmeDelegation: {
          directory: 'https://acme.isp.example/directory',
          eab: { kid: 'device-7f3a', key: 'c2VjcmV0' },
          lifetimeMs: 7 * 86_400_000,
          orderSpanMs: 365 * 86_400_000,
        },
      },
      listen: {
        do53: [{ host: '127.0.0.1', port: 5453 }],
        dot: [{ host: '127.0.0.1', port: 8853 }],
        doh: [{ host: '127.0.0.1', port: 8443 }],
        http2: 'own',
        connections: 2_048,
        'udp-batches': 'auto',
        'connections-per-client': 1_024,
      },
      access: { allow: ['lan'] },
      upstreams: [
        {
          address: expect.objectContaining({ id: 'udp://192.0.2.53', scheme: 'udp' }),
        },
      ],
      bootstrap: [],
      cache: {
        bytesMax: 16 * 1024 * 1024,
        serveStaleMs: 86_400_000,
        prefetch: true,
        nxdomainCut: true,
        persistBytesMax: 0,
      },
      dnssec: { validate: false, anchors: [expect.anything(), expect.anything()], negative: [] },
      local: { domain: 'home.arpa', zones: [], hostFiles: [], forward: [] },
      routedDomains: [],
      resolution: {
        strategy: 'failover',
        ntpNames: [0, 1, 2, 3].map((number) => `${number}.openwrt.pool.ntp.org`),
      },
      protection: {
        rebinding: { exempt: [], loopbackAllowed: false },
        rateLimit: { perSecond: 200, burst: 1000, openMax: 512, exempt: ['127.0.0.0/8', '::1'] },
      },
      advertise: { ddr: 'auto' },
    })
  })

  it('may set everything; ports have their standard, addresses one spelling', async () => {
    const config = await load(`${SMALLEST}  - { url: https://dns.example/dns-query, addresses: ["2001:DB8::53"] }
state: /var/lib/hearth
log: debug
listen: { do53: ["0.0.0.0", "[::]:5353"], dot: ["192.168.1.1"], doh: [] }
access: { allow: [lan, 192.0.2.0/24, "2001:db8::/32"] }
cache: { size: 64KiB, serve-stale: 0s, prefetch: false, nxdomain-cut: false, persist: true, persist-size: 2MiB }
dnssec:
  validate: on
  trust-anchors: ["corp.example DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D"]
  negative-trust-anchors: [Corp]
advertise: { ddr: off, addresses: [192.168.1.1, "FD7F:3A00:0001::1"] }
`)
    expect(config).toMatchObject({
      state: '/var/lib/hearth',
      log: 'debug',
      listen: {
        do53: [
          { host: '0.0.0.0', port: 53 },
          { host: '::', port: 5353 },
        ],
        dot: [{ host: '192.168.1.1', port: 853 }],
        doh: [],
        connections: 2_048,
        'udp-batches': 'auto',
        'connections-per-client': 1_024,
      },
      access: { allow: ['lan', '192.0.2.0/24', '2001:db8::/32'] },
      cache: {
        bytesMax: 65_536,
        serveStaleMs: 0,
        prefetch: false,
        nxdomainCut: false,
        persistBytesMax: 2 * 1024 * 1024,
      },
      dnssec: {
        validate: true,
        anchors: [expect.anything(), expect.anything(), expect.anything()],
        negative: ['\x04corp\0'],
      },
      advertise: { ddr: 'off', addresses: ['192.168.1.1', 'fd7f:3a00:1::1'] },
    })
    expect(config.upstreams[1]?.address.endpoints).toEqual([{ host: '2001:db8::53', port: 443 }])
  })

  it('upstreams may be for some domains and clients; the domains are listed once', async () => {
    const config = await load(`${SMALLEST}    ddr: verified
  - { url: udp://10.0.0.53, for: [Corp.Example, 10.in-addr.arpa] }
  - { url: udp://10.0.0.54, for: [corp.example, lan], clients: [192.168.1.64/26] }
resolution: { strategy: fastest, ntp-names: [ntp.example] }
`)
    expect(config.upstreams.map(({ domains, clients, ddr }) => [domains, clients, ddr])).toEqual([
      [undefined, undefined, 'verified'],
      [['corp.example', '10.in-addr.arpa'], undefined, undefined],
      [['corp.example', 'lan'], ['192.168.1.64/26'], undefined],
    ])
    expect(config.routedDomains).toEqual(['corp.example', '10.in-addr.arpa', 'lan'])
    expect(config.resolution).toEqual({ strategy: 'fastest', ntpNames: ['ntp.example'] })
  })

  it('is overruled by --set', async () => {
    const config = await load(SMALLEST, [
      set('listen.dot', '["127.0.0.1:0"]'),
      set('cache.size', '1MiB'),
      set('upstreams.0.url', 'tcp://192.0.2.54'),
      set('identity.acme-delegation.lifetime', '60s'),
    ])
    expect(config.listen.dot).toEqual([{ host: '127.0.0.1', port: 0 }])
    expect(config.cache.bytesMax).toBe(1024 * 1024)
    expect(config.upstreams[0]?.address.id).toBe('tcp://192.0.2.54')
    expect(config.identity.acmeDelegation.lifetimeMs).toBe(60_000)
  })

  it('an upstream may have pins, and only a name where somebody can look it up', async () => {
    const pin = `sha256/${Buffer.alloc(32, 7).toString('base64')}`
    const { upstreams, bootstrap } = await load(SMALLEST, [
      set('upstreams.0', `{ url: "tls://dns.example", pins: ["${pin}"] }`),
      set('bootstrap', '[udp://192.0.2.1, "tcp://[2001:db8::1]:5353"]'),
    ])
    expect(upstreams).toMatchObject([{ address: { endpoints: [], host: 'dns.example', port: 853 }, pins: [pin] }])
    expect(bootstrap.map(({ endpoints }) => endpoints)).toEqual([
      [{ host: '192.0.2.1', port: 53 }],
      [{ host: '2001:db8::1', port: 5353 }],
    ])
  })

  it('names trust anchors by their files', async () => {
    const { rootPem } = await TestAuthority.create()
    const config = await load(
      SMALLEST,
      [
        set('identity.acme-delegation.trust', 'root.pem'),
        set('upstreams.0', '{ url: "tls://192.0.2.1#dns.example", trust: root.pem }'),
      ],
      { 'root.pem': rootPem },
    )
    expect([config.identity.acmeDelegation.trust, config.upstreams[0]?.trust]).toEqual([[rootPem], [rootPem]])
  })
})

describe('a bad file', () => {
  it('says what is wrong with routes', async () => {
    const text = SMALLEST.replace('  - url: udp://192.0.2.53\n', '')
    expect(await problemsOf(`${text}  - { url: udp://10.0.0.53, for: [.] }\n`)).toEqual([
      'hearth.yaml:7:35 upstreams.0.for.0: "." is every name (leave `for` out: an upstream without it is asked for all other names)',
    ])
    expect(
      await problemsOf(
        `${text}  - { url: udp://10.0.0.53, for: [lan] }\n  - { url: udp://10.0.0.54, clients: [192.168.3.0/24] }\n`,
      ),
    ).toEqual([
      'hearth.yaml:7:5 upstreams.0: every upstream has `for` or `clients`, so nobody would answer the other names and clients (add an upstream without them)',
    ])
    expect(await problemsOf(`${text}  - { url: tls://192.0.2.53, ddr: verified }\n`)).toEqual([
      'hearth.yaml:7:35 upstreams.0.ddr: tls:// is encrypted already (remove the line)',
    ])
  })

  it('lists every problem with line and column', async () => {
    const text = `identity:
  name: cpe
  acme-delegation:
    directory: http://acme.isp.example/directory
    eab: { kid: device-7f3a }
    lifetime: 100d
listen: { do53: ["192.0.2.1:99999"], dto: [] }
access: { allow: [wan] }
upstreams:
  - url: udp://dns.example
  - { url: udp://192.0.2.1, addresses: [dns.example] }
cache: { size: 1KiB }
advertise: { ddr: maybe, addresses: [fe80::1%eth0] }
logg: info
`
    const problems = await problemsOf(text)
    const places = problems.map((line) => /^hearth\.yaml:(\d+):(\d+) (\S+): /.exec(line)?.slice(1).join(' '))
    expect(places).toEqual([
      '2 9 identity.name',
      '4 16 identity.acme-delegation.directory',
      '5 5 identity.acme-delegation.eab.key-file',
      '6 15 identity.acme-delegation.lifetime',
      '7 18 listen.do53.0',
      '7 38 listen.dto',
      '8 19 access.allow.0',
      '10 10 upstreams.0.url',
      '11 41 upstreams.1.addresses.0',
      '12 16 cache.size',
      '13 19 advertise.ddr',
      '13 38 advertise.addresses.0',
      '14 1 logg',
    ])
    expect(problems[5]).toContain('did you mean `dot`?')
    expect(problems[7]).toContain('write its IP')
  })

  const PIN = `sha256/${Buffer.alloc(32, 7).toString('base64')}`
  it.each([
    [
      '{ url: "tls://192.0.2.1", pins: [sha256/abc] }',
      'upstreams.0.pins.0: expected sha256/ and 44 characters of base64',
    ],
    [`{ url: "udp://192.0.2.1", pins: ["${PIN}"] }`, 'upstreams.0.pins: nobody is verified over udp://'],
    [
      '{ url: "tls://192.0.2.1", case-randomisation: on }',
      'case-randomisation: nobody can forge an answer over tls://',
    ],
    ['{ url: "tls://dns.example" }', 'add `addresses: [IP, ...]` to it, or name resolvers'],
  ])('upstream %s is refused', async (upstream, words) => {
    expect(await problemsOf(SMALLEST, [set('upstreams.0', upstream)])).toEqual([expect.stringContaining(words)])
  })

  it.each([
    ['[tls://192.0.2.1]', 'bootstrap.0: expected udp://IP or tcp://IP, got "tls://192.0.2.1"'],
    ['["udp://dns.example"]', 'bootstrap.0: upstream udp://dns.example: over udp:// nobody proves who he is'],
    ['[udp://192.0.2.1, 53]', 'bootstrap.1: expected udp://IP or tcp://IP, got 53'],
  ])('bootstrap %s is refused', async (bootstrap, words) => {
    expect(await problemsOf(SMALLEST, [set('bootstrap', bootstrap)])).toEqual([expect.stringContaining(words)])
  })

  it('without upstreams, or with none, is refused', async () => {
    const without = SMALLEST.slice(0, SMALLEST.indexOf('upstreams:'))
    expect(await problemsOf(without)).toEqual([expect.stringMatching(/ upstreams: is missing/)])
    expect(await problemsOf(`${without}upstreams: []\n`)).toEqual([
      expect.stringMatching(/^hearth\.yaml:6:12 upstreams: expected 1 to 16 entries, got 0/),
    ])
  })

  it('that is not there is CONFIG_UNREADABLE', async () => {
    await expect(loadRouterConfig('/nowhere/hearth.yaml')).rejects.toMatchObject({ code: 'CONFIG_UNREADABLE' })
  })

  it('a problem of --set names its key', async () => {
    expect(await problemsOf(SMALLEST, [set('cache.size', 'huge')])).toEqual([
      expect.stringMatching(/cache\.size: expected a size/),
    ])
    expect(await problemsOf(SMALLEST, [set('cahce.size', '1MiB')])).toEqual([
      expect.stringMatching(/cahce: unknown key/),
    ])
  })
})

describe('files that the settings name', () => {
  it('a trust file that is missing, or holds no certificate', async () => {
    const trust = [set('identity.acme-delegation.trust', 'root.pem')]
    expect(await problemsOf(SMALLEST, trust)).toEqual([
      expect.stringContaining('identity.acme-delegation.trust: cannot read root.pem'),
    ])
    expect(await problemsOf(SMALLEST, trust, { 'root.pem': 'nothing' })).toEqual([
      expect.stringContaining('root.pem holds no PEM certificate'),
    ])
    expect(
      await problemsOf(SMALLEST, [set('upstreams.0', '{ url: "tls://192.0.2.1#dns.example", trust: up.pem }')]),
    ).toEqual([expect.stringContaining('upstreams.0.trust: cannot read up.pem')])
  })

  it.each([
    ['missing', undefined, 'cannot read eab.key'],
    ['empty', '\n', 'must hold the key alone'],
    ['more than a key', 'c2VjcmV0\nand more\n', 'must hold the key alone'],
  ])('a key file that is %s', async (_, content, words) => {
    const directory = await directoryWith(SMALLEST)
    await rm(join(directory, 'eab.key'))
    if (content !== undefined) await writeFile(join(directory, 'eab.key'), content, { mode: 0o600 })
    await expect(loadRouterConfig(join(directory, 'hearth.yaml'))).rejects.toThrow(
      expect.objectContaining({
        code: 'CONFIG_INVALID',
        message: expect.stringContaining('identity.acme-delegation.eab.key-file'),
      }),
    )
    await expect(loadRouterConfig(join(directory, 'hearth.yaml'))).rejects.toThrow(
      words.replace('eab.key', join(directory, 'eab.key')),
    )
  })

  it.each([0o640, 0o604, 0o644, 0o660])('a key file that others may read (%o) is refused', async (mode) => {
    const directory = await directoryWith(SMALLEST)
    await chmod(join(directory, 'eab.key'), mode)
    await expect(loadRouterConfig(join(directory, 'hearth.yaml'))).rejects.toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID', message: expect.stringContaining('chmod 600') }),
    )
  })
})
