import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Daemon, run, startDaemon } from './daemon.ts'
import { freePort } from './ports.ts'
import type { Scene } from './scene.ts'

/** Zones signed by the tools of BIND and NLnet Labs, served by knotd, and one that knotd signs itself. */

export interface SignedZone {
  readonly name: string
  readonly records: string
  /** Undefined: not signed. */
  readonly algorithm?: 'RSASHA256' | 'RSASHA512' | 'ECDSAP256SHA256' | 'ECDSAP384SHA384' | 'ED25519'
  readonly denial?: 'nsec' | 'nsec3' | 'opt-out'
  /** More than BIND allows are signed with ldns. */
  readonly iterations?: number
  /** As dnssec-signzone takes them: `-2h`, `now-1h` and so on. */
  readonly start?: string
  readonly end?: string
  /** What the parent says of it. */
  readonly ds?: 'right' | 'wrong' | 'none'
  /** Applied to the signed file. */
  readonly spoil?: (text: string) => string
}

/** Signs a zone and returns the path of what is to be served; `dsset-NAME.` is left in the directory. */
async function sign(directory: string, zone: SignedZone, children: readonly SignedZone[]): Promise<string> {
  const { name, algorithm, denial = 'nsec', iterations = 0, spoil = (text) => text } = zone
  const delegations = await Promise.all(children.map((child) => delegationTo(directory, child)))
  const path = join(directory, `${name}.zone`)
  await writeFile(path, headOf(name) + zone.records + delegations.join(''))
  if (algorithm === undefined) return path
  const inDirectory = { cwd: directory }
  const keys: string[] = []
  for (const kind of [[], ['-f', 'KSK']]) {
    const size = algorithm.startsWith('RSA') ? ['-b', '2048'] : []
    keys.push((await ran('dnssec-keygen', ['-q', '-a', algorithm, ...size, ...kind, name], inDirectory)).trim())
  }
  const out = `${path}.signed`
  if (iterations > 150) {
    await ran('ldns-signzone', ['-n', '-t', String(iterations), '-s', 'aabb', '-f', out, path, ...keys], inDirectory)
    const key = (await readFile(join(directory, `${keys[1]}.key`), 'utf8'))
      .split('\n')
      .find((line) => !line.startsWith(';'))!
    await writeFile(join(directory, `${name}.key`), key)
    await writeFile(
      join(directory, `dsset-${name}.`),
      await ran('ldns-key2ds', ['-n', '-2', `${name}.key`], inDirectory),
    )
  } else {
    const hashed =
      denial === 'nsec' ? [] : ['-3', 'aabb', '-H', String(iterations), ...(denial === 'opt-out' ? ['-A'] : [])]
    const times = ['-s', zone.start ?? 'now-2d', '-e', zone.end ?? 'now+30d']
    await ran('dnssec-signzone', ['-S', '-P', '-o', name, ...times, ...hashed, '-f', out, path], inDirectory)
  }
  await writeFile(out, spoil(await readFile(out, 'utf8')))
  return out
}

function headOf(name: string): string {
  return `${name}. 300 SOA ns.${name}. nobody.${name}. 1 3600 600 86400 60\n${name}. 300 NS ns.${name}.\nns.${name}. 300 A 127.0.0.1\n`
}

async function delegationTo(directory: string, { name, algorithm, ds = 'right' }: SignedZone): Promise<string> {
  const cut = `${name}. 300 NS ns.${name}.\nns.${name}. 300 A 127.0.0.1\n`
  if (algorithm === undefined || ds === 'none') return cut
  const right = await readFile(join(directory, `dsset-${name}.`), 'utf8')
  return `${cut}${ds === 'wrong' ? right.replaceAll(/[0-9A-F]{8}\s*$/gm, '00000000') : right}\n`
}

async function ran(command: string, args: readonly string[], options: { readonly cwd: string }): Promise<string> {
  const { code, stdout, stderr } = await run(command, args, options)
  if (code !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`)
  return stdout
}

export interface SignedWorld {
  readonly knot: Daemon
  readonly port: number
  /** DS records of the top zone and of the one that knotd signs, in a file. */
  readonly anchorFile: string
}

/** Serves the zones; every other one hangs below the last, which is the top. `auto` is signed by knotd. */
export async function serveSigned(
  scene: Scene,
  zones: readonly SignedZone[],
  auto: { readonly name: string; readonly records: string },
): Promise<SignedWorld> {
  const directory = scene.path('signed')
  await mkdir(directory, { recursive: true })
  const files: { name: string; path: string }[] = []
  for (const zone of zones) {
    const children = zones.filter(({ name }) => name !== zone.name && name.slice(name.indexOf('.') + 1) === zone.name)
    files.push({ name: zone.name, path: await sign(directory, zone, children) })
  }
  await writeFile(join(directory, `${auto.name}.zone`), headOf(auto.name) + auto.records)
  const port = await freePort()
  const settings = await scene.write(
    'signed/knot.conf',
    `server:
  rundir: ${directory}
  listen: 127.0.0.1@${port}
database:
  storage: ${directory}
policy:
  - id: lab
    algorithm: ecdsap256sha256
    nsec3: on
    nsec3-iterations: 0
zone:
${files.map(({ name, path }) => `  - domain: ${name}\n    file: ${path}\n    zonefile-sync: -1\n`).join('')}  - domain: ${auto.name}
    file: ${directory}/${auto.name}.zone
    zonefile-sync: -1
    journal-content: all
    dnssec-signing: on
    dnssec-policy: lab
`,
  )
  const knot = startDaemon('knotd', ['-c', settings])
  await knot.until(async () => {
    const { stdout } = await run('kdig', [
      '@127.0.0.1',
      '-p',
      String(port),
      '+short',
      '+timeout=1',
      auto.name,
      'DNSKEY',
    ])
    if (!stdout.includes('257')) throw new Error('not signed yet')
  })
  const top = zones.at(-1)!.name
  const autoDs = await ran('keymgr', ['-c', settings, auto.name, 'ds'], { cwd: directory })
  const anchors = `${await readFile(join(directory, `dsset-${top}.`), 'utf8')}\n${autoDs}`
  return { knot, port, anchorFile: await scene.write('anchors.txt', anchors) }
}

/** A real unbound that asks the server of the zones, which listens on no usual port, and validates with the same anchors. */
export async function validatingUnbound(
  scene: Scene,
  { port: knot, anchorFile }: SignedWorld,
  zones: readonly string[],
): Promise<{ readonly daemon: Daemon; readonly port: number }> {
  const port = await freePort()
  const directory = scene.path('validator')
  const settings = await scene.write(
    'validator/unbound.conf',
    `server:
  interface: 127.0.0.1@${port}
  directory: ${directory}
  pidfile: ${directory}/unbound.pid
  chroot: ""
  username: ""
  use-syslog: no
  do-daemonize: no
  do-not-query-localhost: no
  module-config: "validator iterator"
  trust-anchor-file: ${anchorFile}
  val-log-level: 2
  ede: yes
  qname-minimisation: no
remote-control:
  control-enable: no
${zones.map((name) => `stub-zone:\n  name: ${name}\n  stub-addr: 127.0.0.1@${knot}\n`).join('')}`,
  )
  const daemon = startDaemon('unbound', ['-d', '-c', settings])
  await daemon.until(async () => {
    const { code } = await run('kdig', ['@127.0.0.1', '-p', String(port), '+timeout=2', '+retry=0', zones[0]!, 'SOA'])
    if (code !== 0) throw new Error('no answer yet')
  })
  return { daemon, port }
}
