import { readFile, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, eventually, run, startDaemon } from './support/daemon.ts'
import { operatorIn, type RouterProgram, routerIn } from './support/hearth.ts'
import { startKnot } from './support/knot.ts'
import { pebbleIn } from './support/pebble.ts'
import { freePorts } from './support/ports.ts'
import { opensslClient } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const ZONE = 'cpe.test'
const CHALLENGES = 'acme.test'
const SOA = `${CHALLENGES}. 5 IN SOA acme-ns.test. hostmaster.${CHALLENGES}. 1 3600 600 86400 5`

/** The set-up of docs/operator-dns.md: knotd holds the CNAME, a resolver follows it into the zone this service serves. */
describe('dns-01 by the DNS server of the operator, behind a CNAME', () => {
  const scene = openScene()
  const trust = scene.path('trust.pem')
  let dnsPort: number
  let ca: Daemon
  let router: RouterProgram

  /** Header and sections as kdig prints them, blanks made one. */
  const ask = async (...words: readonly string[]): Promise<string> => {
    const { stdout } = await run('kdig', ['@127.0.0.1', '-p', String(dnsPort), '+norec', '+retry=0', ...words])
    return stdout.replaceAll(/[ \t]+/g, ' ')
  }

  beforeAll(async () => {
    const [own, resolver] = (await freePorts(2)) as [number, number]
    dnsPort = own
    const pebble = await pebbleIn(scene, { dnsServer: `127.0.0.1:${resolver}`, validityS: 3600 })
    ca = await pebble.start()
    const program = await operatorIn(scene, 'operator', {
      zone: {
        name: ZONE,
        'challenge-zone': CHALLENGES,
        'dns-server': { listen: [`127.0.0.1:${own}`], ns: 'acme-ns.test' },
      },
      authorities: [{ name: 'pebble', kind: 'acme', directory: pebble.directoryUrl, trust: pebble.trust }],
    })
    await program.start()
    await writeFile(trust, (await readFile(program.root, 'utf8')) + (await pebble.issuingRoot()))
    const device = await program.addDevice()
    const [label] = device.name.split('.')
    const knot = await startKnot(scene, { [ZONE]: `_acme-challenge.${device.name}. 5 CNAME ${label}.${CHALLENGES}.\n` })
    startDaemon('unbound', ['-d', '-c', await resolverSettings(resolver, { [ZONE]: knot.port, [CHALLENGES]: own })])
    router = await routerIn(scene, 'router', { device, directoryUrl: program.directoryUrl, trust, lifetime: '1h' })
  })

  const resolverSettings = (port: number, stubs: Readonly<Record<string, number>>): Promise<string> =>
    scene.write(
      'unbound/unbound.conf',
      `server:
  interface: 127.0.0.1@${port}
  directory: ${scene.path('unbound')}
  pidfile: ${scene.path('unbound', 'unbound.pid')}
  chroot: ""
  username: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "iterator"
  local-zone: "test." nodefault
${Object.entries(stubs)
  .map(([zone, stub]) => `stub-zone:\n  name: ${zone}\n  stub-addr: 127.0.0.1@${stub}\n`)
  .join('')}remote-control:
  control-enable: no
`,
    )

  it('serves SOA and NS, and says no to the rest, by UDP and TCP', async () => {
    for (const transport of ['+notcp', '+tcp']) {
      expect(await ask(transport, CHALLENGES, 'NS')).toMatch(
        new RegExp(`status: NOERROR;[^]*Flags: qr aa;[^]*${CHALLENGES}. 3600 IN NS acme-ns.test.`),
      )
      expect(await ask(transport, CHALLENGES, 'SOA')).toContain(SOA.replace(' 5 IN', ' 3600 IN'))
      expect(await ask(transport, `cpe-0.${CHALLENGES}`, 'TXT')).toMatch(new RegExp(`status: NXDOMAIN;[^]*${SOA}`))
      expect(await ask(transport, ZONE, 'TXT')).toContain('status: REFUSED;')
      expect(await ask(transport, '+edns', CHALLENGES, 'ANY')).toMatch(/HINFO "RFC8482" ""/)
    }
    expect(await ask('-c', 'CH', 'version.bind', 'TXT')).toContain('status: REFUSED;')
    expect(await ask(CHALLENGES, 'AXFR')).not.toContain('IN SOA')
  })

  it('brings a certificate that clients accept, and leaves no record behind', async () => {
    await router.start()
    await eventually(async () => expect((await router.status()).presence.certificate).toBeDefined(), 60_000)
    expect(await opensslClient(router.ports.dot, router.name, trust)).toMatchObject({ code: 0 })
    expect(ca.output()).toContain('set VALID by completed challenge')
    const [label] = router.name.split('.')
    await eventually(async () => expect(await ask(`${label}.${CHALLENGES}`, 'TXT')).toContain('status: NXDOMAIN;'))
  })
})
