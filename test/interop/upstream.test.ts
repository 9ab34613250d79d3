import { beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority, type TestAuthority } from './support/authority.ts'
import { type Daemon, eventually } from './support/daemon.ts'
import { type RouterProgram, routerIn, UNREGISTERED } from './support/hearth.ts'
import { startKnot } from './support/knot.ts'
import { freePort } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene, type Scene } from './support/scene.ts'
import { type Unbound, unboundIn } from './support/unbound.ts'
import { tapBefore, type Wiretap } from './support/wiretap.ts'

const HOUR_MS = 3_600_000
const RECORDS = [
  'www.up.test. 60 IN A 192.0.2.1',
  'other.up.test. 60 IN A 192.0.2.2',
  'third.up.test. 60 IN A 192.0.2.3',
]

/** A router whose operator is out of reach: it forwards all the same, and shows its self-signed certificate. */
async function forwarder(
  scene: Scene,
  name: string,
  upstream: { readonly url: string; readonly addresses?: readonly string[]; readonly trust?: string },
): Promise<RouterProgram> {
  const { rootPem } = await makeAuthority('nobody')
  const router = await routerIn(scene, name, {
    device: UNREGISTERED,
    directoryUrl: `https://127.0.0.1:${await freePort()}/directory`,
    trust: await scene.write(`${name}/operator.pem`, rootPem),
    lifetime: '1d',
    more: { upstreams: [upstream] },
  })
  await router.start()
  return router
}

describe('upstreams over TLS and HTTPS', () => {
  const scene = openScene()
  let authority: TestAuthority
  let trust: string
  let unbound: Unbound
  let unboundDaemon: Daemon

  beforeAll(async () => {
    authority = await makeAuthority('root of the resolver')
    trust = await scene.write('root.pem', authority.rootPem)
    const certificate = await authority.certify({ dnsNames: ['dns.up.test'] })
    unbound = await unboundIn(scene, 'unbound', { certificate, records: RECORDS })
    unboundDaemon = await unbound.start()
  })

  describe('with the right name', () => {
    let router: RouterProgram
    let tap: Wiretap

    beforeAll(async () => {
      tap = await tapBefore(unbound.ports.tls)
      router = await forwarder(scene, 'right', { url: `tls://127.0.0.1:${tap.port}#dns.up.test`, trust })
    })

    it('answers every transport over one encrypted connection', async () => {
      const { do53, dot, doh } = router.ports
      expect((await kdig(do53, '+short', 'www.up.test')).stdout).toBe('192.0.2.1\n')
      expect((await kdig(do53, '+short', '+tcp', 'other.up.test')).stdout).toBe('192.0.2.2\n')
      expect((await kdig(dot, '+short', '+tls', 'third.up.test')).stdout).toBe('192.0.2.3\n')
      expect((await kdig(doh, '+https=/dns-query', 'fourth.up.test')).stdout).toContain('status: NXDOMAIN')
      expectEncrypted(tap)
      expect(tap.streams).toHaveLength(1)
    })

    it('fails with a reason while the upstream is down, and recovers by itself', async () => {
      await unboundDaemon.stop('SIGKILL')
      const { do53 } = router.ports
      for (const label of ['a', 'b', 'c']) {
        const { stdout } = await kdig(do53, '+edns', `${label}.up.test`)
        expect(stdout).toContain('status: SERVFAIL')
        expect(stdout).toMatch(/EDE: 2[23] .*tls:\/\/127\.0\.0\.1:\d+#dns\.up\.test/)
      }
      expect((await router.status()).upstreams[0]).toMatchObject({ state: 'down' })
      expect((await kdig(do53, '+short', 'www.up.test')).stdout).toBe('192.0.2.1\n') // from the cache
      unboundDaemon = await unbound.start()
      await eventually(async () => {
        expect((await kdig(do53, 'd.up.test')).stdout).toContain('status: NXDOMAIN')
      })
      expect((await router.status()).upstreams[0]).toMatchObject({ state: 'up', failuresInARow: 0 })
      expectEncrypted(tap)
    })
  })

  it('forwards over HTTPS, verified by name', async () => {
    const url = `https://dns.up.test:${unbound.ports.https}/dns-query`
    const { ports } = await forwarder(scene, 'https', { url, addresses: ['127.0.0.1'], trust })
    expect((await kdig(ports.do53, '+short', 'www.up.test')).stdout).toBe('192.0.2.1\n')
    const wrong = { url: url.replace('dns.up', 'dns.other'), addresses: ['127.0.0.1'], trust }
    const other = await forwarder(scene, 'https-wrong', wrong)
    const { stdout } = await kdig(other.ports.do53, '+edns', 'www.up.test')
    expect(stdout).toContain('status: SERVFAIL')
    expect(stdout).toMatch(/EDE: .*is not who it should be: its certificate is for another name/)
  })

  it('asks nothing of a server with another name, and says so', async () => {
    const tap = await tapBefore(unbound.ports.tls)
    const { ports } = await forwarder(scene, 'wrong', { url: `tls://127.0.0.1:${tap.port}#dns.other.test`, trust })
    await expectRefused(ports.do53, 'its certificate is for another name')
    expectEncrypted(tap)
    await tap.close()
  })

  it('asks nothing of a server whose certificate has expired, and says so', async () => {
    const nowMs = Date.now()
    const dates = { notBeforeMs: nowMs - 2 * HOUR_MS, notAfterMs: nowMs - HOUR_MS }
    const certificate = await authority.certify({ dnsNames: ['dns.up.test'], ...dates })
    const late = await unboundIn(scene, 'late', { certificate, records: RECORDS })
    const lateDaemon = await late.start()
    const tap = await tapBefore(late.ports.tls)
    const { ports } = await forwarder(scene, 'expired', { url: `tls://127.0.0.1:${tap.port}#dns.up.test`, trust })
    await expectRefused(ports.do53, 'its certificate has expired')
    expectEncrypted(tap)
    expect(lateDaemon.output()).not.toContain('up.test')
    await tap.close()
  })

  it('asks nothing of a server whose root is not among those it was given', async () => {
    const other = await scene.write('other.pem', (await makeAuthority('another root')).rootPem)
    const tap = await tapBefore(unbound.ports.tls)
    const { ports } = await forwarder(scene, 'root', { url: `tls://127.0.0.1:${tap.port}#dns.up.test`, trust: other })
    await expectRefused(ports.do53, 'its certificate does not lead to a trusted root')
    expectEncrypted(tap)
    await tap.close()
  })
})

describe('a plain upstream', () => {
  const scene = openScene()
  const big = Array.from({ length: 12 }, (_, index) => `"${String.fromCharCode(97 + index).repeat(200)}"`).join(' ')
  let router: RouterProgram
  let knot: Daemon

  beforeAll(async () => {
    const { daemon, address } = await startKnot(scene, {
      'up.test': `big.up.test. 60 TXT ${big}\nwww.up.test. 60 A 192.0.2.1\n`,
    })
    knot = daemon
    router = await forwarder(scene, 'plain', { url: `udp://${address}` })
  })

  it('is asked again by TCP when its answer was cut, and clients get it whole where it fits', async () => {
    const { do53, dot } = router.ports
    const whole = `${big}\n`
    expect((await kdig(dot, '+tls', '+short', 'big.up.test', 'TXT')).stdout).toBe(whole)
    const { stdout } = await kdig(do53, '+edns', '+ignore', 'big.up.test', 'TXT')
    expect(stdout).toMatch(/Flags: qr tc rd ra;.* ANSWER: 0;/)
    expect((await kdig(do53, '+short', 'big.up.test', 'TXT')).stdout).toContain(whole)
  })

  it('leads to SERVFAIL with a reason when it is gone', async () => {
    expect((await kdig(router.ports.do53, '+short', 'www.up.test')).stdout).toBe('192.0.2.1\n')
    await knot.stop()
    const { stdout } = await kdig(router.ports.do53, '+edns', 'gone.up.test')
    expect(stdout).toContain('status: SERVFAIL')
    expect(stdout).toMatch(/EDE: 2[23] .*udp:\/\/127\.0\.0\.1:\d+/)
  })
})

async function expectRefused(do53: number, reason: string): Promise<void> {
  const { stdout } = await kdig(do53, '+edns', 'www.up.test')
  expect(stdout).toContain('status: SERVFAIL')
  expect(stdout).toContain(reason)
  expect(stdout).toMatch(/EDE: \d+ /)
}

const TLS_HANDSHAKE = 0x16

/** Whoever listened on the way saw TLS and nothing else. */
function expectEncrypted({ streams, datagrams }: Wiretap): void {
  expect(datagrams).toEqual([])
  expect(streams.length).toBeGreaterThan(0)
  for (const bytes of streams.filter(({ length }) => length > 0)) {
    expect(bytes[0]).toBe(TLS_HANDSHAKE)
    expect(bytes.includes(Buffer.from('\x02up\x04test', 'latin1'))).toBe(false)
  }
}
