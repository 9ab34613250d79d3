import { execFileSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { type Daemon, run, startDaemon } from './daemon.ts'
import { freePort } from './ports.ts'
import type { Scene } from './scene.ts'

const VERSIONS = '/usr/lib/postgresql'
const USER = 'hearth'

export interface Postgres {
  readonly password: string
  readonly url: string
  /** `settings`: of the server, `name=value`. */
  start(...settings: readonly string[]): Promise<Daemon>
}

/** A real PostgreSQL with an empty database. It refuses to run as root, so it then runs as its usual user. */
export async function postgresIn(scene: Scene): Promise<Postgres> {
  const programs = join(VERSIONS, readdirSync(VERSIONS).sort().at(-1)!, 'bin')
  const identity = process.getuid?.() === 0 ? { uid: idOf('-u'), gid: idOf('-g') } : {}
  const port = await freePort()
  const password = 'p:ss/wörd?1'
  const home = scene.path('postgres')
  const passwordFile = await scene.write('postgres/password', password, 0o644)
  chmodSync(scene.directory, 0o711)
  mkdirSync(join(home, 'data'), { mode: 0o700 })
  if (identity.uid !== undefined)
    for (const path of [home, join(home, 'data')]) chownSync(path, identity.uid, identity.gid)
  const setup = [
    '-D',
    join(home, 'data'),
    '-U',
    USER,
    '-A',
    'scram-sha-256',
    '--pwfile',
    passwordFile,
    '-N',
    '-E',
    'UTF8',
  ]
  const { code, stderr } = await run(join(programs, 'initdb'), setup, { ...identity, cwd: home })
  if (code !== 0) throw new Error(stderr)
  const options = ['-D', join(home, 'data'), '-k', home, '-p', String(port), '-c', 'listen_addresses=127.0.0.1']
  return {
    password,
    url: `postgres://${USER}:${encodeURIComponent(password)}@127.0.0.1:${port}/postgres`,
    async start(...settings) {
      const more = ['fsync=off', ...settings].flatMap((setting) => ['-c', setting])
      const daemon = startDaemon(join(programs, 'postgres'), [...options, ...more], {
        ...identity,
        cwd: home,
      })
      await daemon.until(async () => {
        if (!daemon.output().includes('ready to accept connections')) throw new Error('not ready yet')
        await reach(port)
      })
      return daemon
    },
  }
}

function idOf(flag: string): number {
  return Number(execFileSync('id', [flag, 'postgres']))
}

function reach(port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy()
      resolve()
    })
    socket.once('error', reject)
  })
}
