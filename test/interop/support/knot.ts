import { join } from 'node:path'
import { type Daemon, run, startDaemon } from './daemon.ts'
import { freePort } from './ports.ts'
import type { Scene } from './scene.ts'

export interface Knot {
  readonly daemon: Daemon
  readonly port: number
  readonly address: string
  readonly tsig: { readonly name: string; readonly secret: string }
  /** All TXT records of the zone, as zone-file lines. */
  txtRecords(zone: string): Promise<string[]>
}

const TSIG = { name: 'hearth-update', secret: Buffer.from('a test key of exactly 32 octets!').toString('base64') }

/** What an operator puts into `zone` to change the zones of this server. */
export async function dnsUpdateBy({ address, tsig }: Knot, scene: Scene): Promise<object> {
  return {
    server: address,
    'key-name': tsig.name,
    'key-file': await scene.write('operator/tsig.key', tsig.secret),
  }
}

/** A real knotd with the given zones; dynamic updates signed with `tsig` may change all of them. */
export async function startKnot(scene: Scene, zones: Readonly<Record<string, string>>): Promise<Knot> {
  const port = await freePort()
  for (const [zone, records] of Object.entries(zones)) {
    const soa = `${zone}. 300 SOA ns.${zone}. nobody.${zone}. 1 3600 600 86400 5\n`
    await scene.write(`knot/${zone}.zone`, `${soa}${zone}. 300 NS ns.${zone}.\nns.${zone}. 300 A 127.0.0.1\n${records}`)
  }
  const directory = scene.path('knot')
  const zoneBlocks = Object.keys(zones).map(
    (zone) => `  - domain: ${zone}
    storage: ${directory}
    file: ${zone}.zone
    acl: update
    zonefile-sync: -1
    journal-content: changes
`,
  )
  const settings = await scene.write(
    'knot/knot.conf',
    `server:
  rundir: ${directory}
  listen: 127.0.0.1@${port}
database:
  storage: ${directory}
key:
  - id: ${TSIG.name}
    algorithm: hmac-sha256
    secret: ${TSIG.secret}
acl:
  - id: update
    key: ${TSIG.name}
    action: update
zone:
${zoneBlocks.join('')}`,
  )
  const daemon = startDaemon('knotd', ['-c', settings])
  const [zone] = Object.keys(zones)
  await daemon.until(async () => {
    const { stdout } = await run('kdig', ['@127.0.0.1', '-p', String(port), '+short', '+timeout=1', zone!, 'SOA'])
    if (!stdout.includes('nobody')) throw new Error('no answer yet')
  })
  return {
    daemon,
    port,
    address: `127.0.0.1:${port}`,
    tsig: TSIG,
    async txtRecords(ofZone) {
      const { code, stdout, stderr } = await run('knotc', ['-s', join(directory, 'knot.sock'), 'zone-read', ofZone])
      if (code !== 0) throw new Error(stderr)
      return stdout.split('\n').filter((line) => line.includes(' TXT '))
    },
  }
}
