import { beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority } from './support/authority.ts'
import { eventually, type Ran, run } from './support/daemon.ts'
import { type RouterProgram, routerIn, UNREGISTERED } from './support/hearth.ts'
import { startKnot } from './support/knot.ts'
import { freePort } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const HOSTS = 200
const PERF_SECONDS = 2

const scene = openScene()
let router: RouterProgram

/** A router whose operator is out of reach: it shows its self-signed certificate and forwards to a knotd. */
beforeAll(async () => {
  const hosts = Array.from({ length: HOSTS }, (_, index) => `host-${index}.up.test. 300 IN A 192.0.2.${index % 250}\n`)
  const many = Array.from({ length: 90 }, (_, index) => `many.up.test. 300 IN A 198.51.100.${index}\n`)
  const knot = await startKnot(scene, { 'up.test': [...hosts, ...many].join('') })
  const { rootPem } = await makeAuthority('nobody')
  router = await routerIn(scene, 'router', {
    device: UNREGISTERED,
    directoryUrl: `https://127.0.0.1:${await freePort()}/directory`,
    trust: await scene.write('router/operator.pem', rootPem),
    lifetime: '1d',
    more: { upstreams: [{ url: `udp://${knot.address}` }] },
  })
  await router.start()
  await eventually(async () => expect((await kdig(router.ports.do53, 'host-1.up.test')).stdout).toContain('192.0.2.1'))
})

const dig = (port: number, ...args: readonly string[]): Promise<Ran> =>
  run('dig', ['@127.0.0.1', '-p', String(port), '+tries=1', '+timeout=5', ...args])

describe('dig', () => {
  const TABLE: readonly (readonly [string, readonly string[], readonly (string | RegExp)[]])[] = [
    ['plain', ['+noedns'], ['status: NOERROR', 'flags: qr rd ra;', '192.0.2.1']],
    ['type1000', ['-t', 'TYPE1000'], ['status: NOERROR', 'ANSWER: 0']],
    ['edns0', ['+edns=0', '+nocookie'], ['status: NOERROR', /EDNS: version: 0, flags:; udp: 1232/]],
    ['edns1', ['+edns=1', '+noednsneg', '+nocookie'], ['status: BADVERS', 'EDNS: version: 0']],
    ['edns1 and an option', ['+edns=1', '+noednsneg', '+ednsopt=100'], ['status: BADVERS', 'EDNS: version: 0']],
    ['an unknown option', ['+ednsopt=100', '+nocookie'], ['status: NOERROR', 'EDNS: version: 0', '192.0.2.1']],
    ['an unknown EDNS flag', ['+ednsflags=0x80', '+nocookie'], ['status: NOERROR', /flags:; udp/]],
    ['DO', ['+dnssec'], ['status: NOERROR', /flags: do; udp/]],
    ['TCP', ['+tcp'], ['status: NOERROR', '192.0.2.1']],
    ['opcode 15', ['+opcode=15', '+noedns'], ['status: NOTIMP', 'opcode: RESERVED15']],
    ['the Z flag', ['+zflag'], ['status: NOERROR', '192.0.2.1']],
    ['AD and CD', ['+adflag', '+cdflag'], ['status: NOERROR', /flags: qr rd ra cd;/]],
    ['FORMERR for no question', ['+header-only', '+nocookie'], ['status: FORMERR']],
    ['a cookie alone', ['+header-only', '+cookie'], ['status: NOERROR', /COOKIE: [0-9a-f]{48} \(good\)/]],
    ['a cookie', ['+cookie'], ['status: NOERROR', /COOKIE: [0-9a-f]{48} \(good\)/]],
    ['a bad cookie', ['+cookie=0102030405060708010000006000000000112233445566ff'], ['status: NOERROR', 'COOKIE']],
  ]
  it.each(TABLE)('RFC 8906: %s', async (_, args, expected) => {
    const { code, stdout } = await dig(router.ports.do53, 'host-1.up.test', ...args)
    expect(code).toBe(0)
    for (const part of expected) expect(stdout).toMatch(part)
    expect(stdout).not.toContain('Warning')
  })

  it('FWD-3: is sent to TCP for what is too large, and gets it whole', async () => {
    const cut = await dig(router.ports.do53, 'many.up.test', '+ignore', '+bufsize=4096')
    expect(cut.stdout).toMatch(/flags: qr tc rd ra;[^]*ANSWER: 0[^]*EDNS: version: 0/)
    const whole = await dig(router.ports.do53, 'many.up.test')
    expect(whole.stdout).toContain('ANSWER: 90')
    expect(whole.stdout).toContain('(TCP)')
  })

  it('FWD-1: class CH is refused, with the reason', async () => {
    const { stdout } = await dig(router.ports.do53, 'version.bind', 'TXT', 'CH')
    expect(stdout).toContain('status: REFUSED')
    expect(stdout).toMatch(/EDE: 21 \(Not Supported\)/)
  })

  it('ANY by UDP is HINFO, by TCP it is what the upstream says', async () => {
    expect((await dig(router.ports.do53, 'host-1.up.test', 'ANY', '+notcp')).stdout).toMatch(/HINFO\s+"RFC8482" ""/)
    expect((await dig(router.ports.do53, 'host-1.up.test', 'ANY', '+tcp')).stdout).toContain('192.0.2.1')
  })

  it('several over one TLS connection', async () => {
    const names = [1, 2, 3].flatMap((index) => [`host-${index}.up.test`, 'A'])
    const { stdout } = await dig(router.ports.dot, '+tls', '+keepopen', '+short', ...names)
    expect(stdout.trim().split('\n')).toEqual(['192.0.2.1', '192.0.2.2', '192.0.2.3'])
  })
})

describe('kdig', () => {
  it('DOT-4, PAD-1: keepalive and padding are there over TLS only', async () => {
    const tls = await kdig(router.ports.dot, '+tls', '+padding', '+ednsopt=11', 'host-1.up.test')
    expect(tls.stdout).toContain('192.0.2.1')
    expect(tls.stdout).toMatch(/Received 468 B/)
    expect(tls.stdout).toMatch(/PADDING: \d+ B/)
    expect(tls.stdout).toMatch(/Option \(11\): 012C/i)
    const udp = await kdig(router.ports.do53, '+padding', '+ednsopt=11', 'host-1.up.test')
    expect(udp.stdout).toContain('192.0.2.1')
    expect(udp.stdout).not.toMatch(/PADDING|Option \(11\)/)
  })

  it('takes part in cookies', async () => {
    const { stdout } = await kdig(router.ports.do53, '+cookie', '+badcookie', 'host-1.up.test')
    expect(stdout).toContain('status: NOERROR')
    expect(stdout).toMatch(/COOKIE: [0-9A-F]{16,}/i)
  })

  it('keeps its connection open, TCP and TLS', async () => {
    for (const [port, ...args] of [
      [router.ports.do53, '+tcp'],
      [router.ports.dot, '+tls'],
    ] as const) {
      const { code, stdout } = await kdig(port, ...args, '+keepopen', '+short', 'host-4.up.test', 'host-5.up.test')
      expect([code, stdout.trim().split('\n')]).toEqual([0, ['192.0.2.4', '192.0.2.5']])
    }
  })
})

describe('dnsperf', () => {
  const MODES = [
    ['udp', 'do53'],
    ['tcp', 'do53'],
    ['dot', 'dot'],
  ] as const
  it.each(MODES)('by %s loses nothing and gets NOERROR only', async (mode, port) => {
    const names = Array.from({ length: HOSTS }, (_, index) => `host-${index}.up.test A`).join('\n')
    const file = await scene.write('names.txt', `${names}\n`)
    const { stdout } = await run('dnsperf', [
      '-s',
      '127.0.0.1',
      '-p',
      String(router.ports[port]),
      '-m',
      mode,
      '-d',
      file,
      '-l',
      String(PERF_SECONDS),
      '-c',
      '10',
      '-q',
      '100',
      '-e',
    ])
    expect(stdout).toMatch(/Queries lost:\s+0 /)
    expect(stdout).toMatch(/Response codes:\s+NOERROR \d+ \(100\.00%\)/)
    const completed = Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1])
    expect(completed).toBeGreaterThan(HOSTS)
  })
})

describe('openssl s_client', () => {
  const client = (...args: readonly string[]): Promise<Ran> =>
    run('sh', ['-c', `sleep 1 | openssl s_client -connect 127.0.0.1:${router.ports.dot} ${args.join(' ')}`])

  it.each(['-tls1_2', '-tls1_3'])('%s resumes its session', async (version) => {
    const file = scene.path(`session${version}.pem`)
    expect((await client(version, '-sess_out', file)).stdout).toMatch(/New, TLSv1/)
    expect((await client(version, '-sess_in', file)).stdout).toMatch(/Reused, TLSv1/)
  })

  it('DOT-5: foreign ALPN only is alert 120', async () => {
    const { stderr } = await client('-alpn', 'h2')
    expect(stderr).toMatch(/no application protocol.*SSL alert number 120/)
  })

  it('offers neither compression, nor renegotiation, nor early data', async () => {
    const { stdout } = await client('-tls1_3')
    expect(stdout).toContain('Compression: NONE')
    expect(stdout).not.toMatch(/Max Early Data: [1-9]/)
    const { stdout: out, stderr } = await run('sh', [
      '-c',
      `(sleep 1; echo R; sleep 1) | openssl s_client -connect 127.0.0.1:${router.ports.dot} -tls1_2`,
    ])
    expect(`${out}${stderr}`).toMatch(/no renegotiation/)
  })
})
