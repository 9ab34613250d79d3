import { copyFile, readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import type { DeviceSummary } from '../../src/operator/admin/device-operations.ts'
import { type Daemon, eventually } from './support/daemon.ts'
import { hearthOperator, type OperatorProgram, operatorIn, type RouterProgram, routerIn } from './support/hearth.ts'
import { type Postgres, postgresIn } from './support/postgres.ts'
import { probe, watch } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const LIFETIME = '12s'

/** One story, told in order: each test goes on where the one before it ended. */
describe('two operator instances on one database', () => {
  const scene = openScene()
  const trust = scene.path('trust.pem')
  let postgres: Postgres
  let postgresDaemon: Daemon
  let back: OperatorProgram
  let backDaemon: Daemon
  let front: OperatorProgram
  let frontDaemon: Daemon
  let router: RouterProgram

  beforeAll(async () => {
    postgres = await postgresIn(scene)
    postgresDaemon = await postgres.start()
    const shared = { store: postgres.url, authorities: [{ name: 'internal', kind: 'internal' }] }
    front = await operatorIn(scene, 'front', shared)
    back = await operatorIn(scene, 'back', { ...shared, 'base-url': front.directoryUrl.replace('/directory', '') })
  })

  const serial = async (): Promise<string> => {
    const seen = await probe(router.ports.dot, router.name, await readFile(trust, 'utf8'))
    if (seen.kind !== 'good') throw new Error(`the client saw ${JSON.stringify(seen)}`)
    return seen.serial
  }
  const changed = async (): Promise<void> => {
    const before = await serial()
    await eventually(async () => expect(await serial()).not.toBe(before), 40_000)
  }

  it('start at the same time on an empty database and offer the same directory', async () => {
    ;[frontDaemon, backDaemon] = await Promise.all([front.start(), back.start()])
    for (const { settings } of [front, back]) {
      const { stdout } = await hearthOperator('status', '--config', settings, '--json')
      expect(JSON.parse(stdout)).toMatchObject({ directory: front.directoryUrl })
    }
  })

  it('a device added through one is known to the other and enrols there', async () => {
    const device = await back.addDevice()
    const list = await hearthOperator('device', 'list', '--config', front.settings, '--json')
    expect(JSON.parse(list.stdout) as DeviceSummary[]).toMatchObject([{ name: device.name, enrolled: false }])
    // One CA for both: either may do the work.
    expect(await readFile(front.root, 'utf8')).toBe(await readFile(back.root, 'utf8'))
    await copyFile(front.root, trust)
    const { directoryUrl } = front
    router = await routerIn(scene, 'router', { device, directoryUrl, trust, lifetime: LIFETIME })
    await router.start()
    await eventually(serial)
    const shown = await hearthOperator('device', 'list', '--config', back.settings)
    expect(shown.stdout).toMatch(new RegExp(`^${device.name} +(enrolled|valid) `, 'm'))
  })

  it('renewals go on while the database is away for a moment, and while one instance is dead', async () => {
    const watcher = watch(router.ports.dot, router.name, await readFile(trust, 'utf8'))
    await postgresDaemon.stop('SIGINT')
    await eventually(() => expect(frontDaemon.output()).toContain('no jobs could be taken from the store'))
    postgresDaemon = await postgres.start()
    await changed()
    await backDaemon.stop('SIGKILL')
    await changed()
    await watcher.stop()
    expect(watcher.seen.filter(({ kind }) => kind !== 'good')).toEqual([])
  })

  it('neither says the password of the database, also when it is out of reach', async () => {
    await postgresDaemon.stop('SIGINT')
    const { code, stderr } = await hearthOperator('run', '--config', back.settings)
    expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining('STORE_UNAVAILABLE') })
    const said = stderr + frontDaemon.output() + backDaemon.output()
    expect(said).not.toContain(postgres.password)
    expect(said).not.toContain(encodeURIComponent(postgres.password))
  })
})
