import { readFile, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, eventually, everythingSaid } from './support/daemon.ts'
import { type OperatorProgram, operatorIn, type RouterProgram, routerIn } from './support/hearth.ts'
import { dnsUpdateBy, type Knot, startKnot } from './support/knot.ts'
import { type Pebble, pebbleIn } from './support/pebble.ts'
import { kdig, opensslClient, type Probe, probe, watch } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const ZONE = 'cpe.test'
/** Renewed every 12 s from the sixth second on; each certificate but the first lives 18 s (RFC 8739 §3.5). */
const LIFETIME = '12s'
const LIFETIME_MS = 12_000

/** One story, told in order: each test goes on where the one before it ended. */
describe('router and operator in front of a real CA', () => {
  const scene = openScene()
  const trust = scene.path('trust.pem')
  let knot: Knot
  let pebble: Pebble
  let ca: Daemon
  let operator: OperatorProgram
  let operatorDaemon: Daemon
  let router: RouterProgram
  let routerDaemon: Daemon

  /** What routers and clients believe: the root of the operator's API and the one Pebble issues from now. */
  const writeTrust = async (): Promise<void> =>
    writeFile(trust, (await readFile(operator.root, 'utf8')) + (await pebble.issuingRoot()))
  const look = async (): Promise<Probe> => probe(router.ports.dot, router.name, await readFile(trust, 'utf8'))
  const serial = async (): Promise<string> => {
    const seen = await look()
    if (seen.kind !== 'good') throw new Error(`the client saw ${JSON.stringify(seen)}`)
    return seen.serial
  }
  /** Resolves right after a renewal, with the serial number of what is shown then. */
  const nextSerial = async (withinMs = 3 * LIFETIME_MS): Promise<string> => {
    const before = await look()
    return eventually(async () => {
      const now = await serial()
      if (before.kind === 'good' && now === before.serial) throw new Error('still the same certificate')
      return now
    }, withinMs)
  }
  const watching = async (): Promise<ReturnType<typeof watch>> =>
    watch(router.ports.dot, router.name, await readFile(trust, 'utf8'))

  beforeAll(async () => {
    knot = await startKnot(scene, { [ZONE]: '' })
    // Its own dates would be good for an hour: that certificates live for seconds shows that the order's date is kept.
    pebble = await pebbleIn(scene, { dnsServer: knot.address, validityS: 3600 })
    ca = await pebble.start()
    operator = await operatorIn(scene, 'operator', {
      zone: {
        name: ZONE,
        'dns-update': await dnsUpdateBy(knot, scene),
      },
      authorities: [
        { name: 'pebble', kind: 'acme', directory: pebble.directoryUrl, trust: pebble.trust, 'request-dates': true },
      ],
    })
    operatorDaemon = await operator.start()
    await writeTrust()
    const device = await operator.addDevice()
    router = await routerIn(scene, 'router', { device, directoryUrl: operator.directoryUrl, trust, lifetime: LIFETIME })
    routerDaemon = await router.start()
  })

  it('enrols: OpenSSL and kdig accept the chain by name', async () => {
    await eventually(serial)
    expect(await opensslClient(router.ports.dot, router.name, trust)).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`Verified peername: ${router.name}`),
    })
    const tls = [`+tls-ca=${trust}`, `+tls-hostname=${router.name}`]
    expect((await kdig(router.ports.dot, ...tls, '+short', router.name)).stdout).toBe('127.0.0.1\n')
    const { identity } = await router.status()
    expect(Date.parse(identity.notAfter!) - Date.parse(identity.notBefore!)).toBeLessThanOrEqual(LIFETIME_MS)
  })

  it('renews on time, and no client ever sees a certificate it must refuse', async () => {
    const before = (await router.status()).identity.renewals
    const watcher = await watching()
    const byOpenssl: number[] = []
    await eventually(async () => {
      byOpenssl.push((await opensslClient(router.ports.dot, router.name, trust)).code)
      expect(serialsOf(watcher.seen)).toHaveLength(3)
    }, 4 * LIFETIME_MS)
    await watcher.stop()
    expect(watcher.seen.filter(({ kind }) => kind !== 'good')).toEqual([])
    expect((await router.status()).identity.renewals).toBeGreaterThanOrEqual(before + 2)
    expect(new Set(byOpenssl)).toEqual(new Set([0]))
  })

  it('proves control by TXT records and leaves none behind', async () => {
    expect(ca.output()).toContain('set VALID by completed challenge')
    expect(
      await eventually(async () => {
        const records = await knot.txtRecords(ZONE)
        if (records.length > 0) throw new Error(records.join('\n'))
        return records
      }),
    ).toEqual([])
  })

  it('shows the saved certificate at once after a restart, also while the operator is down', async () => {
    const shown = await nextSerial()
    await operatorDaemon.stop()
    await routerDaemon.stop()
    routerDaemon = await router.start()
    expect(await serial()).toBe(shown)
    expect((await router.status()).identity).toMatchObject({ state: 'serving', renewals: 0 })
  })

  it('goes on renewing after the operator was restarted', async () => {
    operatorDaemon = await operator.start()
    await nextSerial()
    expect(operatorDaemon.output()).toContain('next certificate published')
    expect(operatorDaemon.output()).not.toContain('first certificate published')
  })

  it('heals after operator and router were killed in the middle of an order', async () => {
    const shown = await serial()
    const orders = ordersIn(ca)
    await eventually(() => {
      if (ordersIn(ca) === orders) throw new Error('no new order')
    })
    await Promise.all([operatorDaemon.stop('SIGKILL'), routerDaemon.stop('SIGKILL')])
    const watcher = await watching()
    ;[operatorDaemon, routerDaemon] = await Promise.all([operator.start(), router.start()])
    await eventually(async () => expect(await serial()).not.toBe(shown), 60_000)
    await watcher.stop()
    expect(codesOf(watcher.seen).filter((code) => code !== SELF_SIGNED)).toEqual([])
  })

  it('shows a stand-in and advertises nothing when the CA is away for too long, and recovers by itself', async () => {
    await nextSerial()
    const watcher = await watching()
    process.kill(ca.pid, 'SIGSTOP')
    const designation = ['_dns.resolver.arpa', 'SVCB']
    expect((await kdig(router.ports.do53, ...designation)).stdout).toMatch(/status: NOERROR;.*\n.*ANSWER: 2;/)
    const late = await eventually(async () => {
      const { identity } = await router.status()
      expect(identity.lastError).toBeDefined()
      return identity
    })
    expect(late).toMatchObject({
      state: expect.stringMatching(/serving|renewing/),
      lastError: {
        code: 'CERT_OVERDUE',
        message: expect.stringContaining('has not published'),
        hint: expect.stringContaining('operator'),
      },
    })
    await eventually(async () => expect((await router.status()).presence.certificate).toBeUndefined())
    expect(await look()).toMatchObject({ kind: 'refused', code: SELF_SIGNED })
    expect((await kdig(router.ports.do53, ...designation)).stdout).toMatch(/status: NOERROR;.*\n.*ANSWER: 0;/)

    process.kill(ca.pid, 'SIGCONT')
    await eventually(serial)
    await watcher.stop()
    expect(codesOf(watcher.seen)).toEqual([SELF_SIGNED])
    expect((await router.status()).identity.lastError).toBeUndefined()
  })

  it('opens a new account at a CA that forgot it, and refuses a chain to a root it does not know', async () => {
    await nextSerial()
    await ca.stop()
    await eventually(() => expect(operatorDaemon.output()).toMatch(/ECONNREFUSED.*"code":"HTTP_UNREACHABLE"/))
    ca = await pebble.start()
    await eventually(() => expect(ca.output()).toContain('There are now 1 accounts in memory'))
    await eventually(async () => {
      expect((await router.status()).identity.lastError).toMatchObject({
        code: 'CERT_CHAIN',
        message: expect.stringContaining('which is no trust anchor of ours'),
      })
    })
    await routerDaemon.stop()
    await writeTrust()
    routerDaemon = await router.start()
    await eventually(serial)
  })

  it('never logs a secret', async () => {
    const secrets = [
      knot.tsig.secret,
      (await readFile(scene.path('router', 'eab.key'), 'utf8')).trim(),
      ...(await readFile(scene.path('router', 'state', 'identity.json'), 'utf8')).split(String.raw`\n`).slice(1, 3),
    ]
    for (const secret of secrets) expect(everythingSaid()).not.toContain(secret)
    expect(everythingSaid()).not.toContain('PRIVATE KEY')
  })
})

const SELF_SIGNED = 'DEPTH_ZERO_SELF_SIGNED_CERT'

function serialsOf(seen: readonly Probe[]): readonly string[] {
  return [...new Set(seen.flatMap((one) => (one.kind === 'good' ? [one.serial] : [])))]
}

/** Every reason for which a client refused what it was shown. */
function codesOf(seen: readonly Probe[]): readonly string[] {
  return [...new Set(seen.flatMap((one) => (one.kind === 'refused' ? [one.code] : [])))]
}

function ordersIn(ca: Daemon): number {
  return ca.output().split('Added order').length
}
