import { generateKeyPairSync, sign } from 'node:crypto'
import { copyFile, readFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { createHttpTransport } from '../../src/net/http.ts'
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

  it('a nonce that one gave is good at the other, once, and then at neither', async () => {
    const root = await readFile(front.root, 'utf8')
    const transport = createHttpTransport({ ca: [root], userAgent: 'test' })
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const base = front.directoryUrl.replace('/directory', '')
    const given = await transport({ method: 'HEAD', url: `${base}/new-nonce` })
    const nonce = String(given.headers['replay-nonce'])
    /** No account has this key, which is said only of a request whose nonce was good. */
    const askAt = async ({ port }: OperatorProgram): Promise<string> => {
      const url = `${base}/new-account`
      const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
      const head = part({ alg: 'ES256', nonce, url, jwk: publicKey.export({ format: 'jwk' }) })
      const payload = part({ onlyReturnExisting: true })
      const how = { key: privateKey, dsaEncoding: 'ieee-p1363' as const }
      const signature = sign('sha256', Buffer.from(`${head}.${payload}`), how).toString('base64url')
      const reply = await transport({
        method: 'POST',
        url: `https://127.0.0.1:${port}/new-account`,
        headers: { 'Content-Type': 'application/jose+json' },
        body: Buffer.from(JSON.stringify({ protected: head, payload, signature })),
      })
      return (JSON.parse(Buffer.from(reply.body).toString()) as { type: string }).type.split(':').at(-1)!
    }
    expect(await askAt(back)).toBe('accountDoesNotExist')
    expect(await askAt(back)).toBe('badNonce')
    expect(await askAt(front)).toBe('badNonce')
    transport.close()
  })

  it('the CLI works on the same database from a third place, where no instance runs, while both do', async () => {
    const third = await operatorIn(scene, 'third', {
      store: postgres.url,
      authorities: [{ name: 'internal', kind: 'internal' }],
      'base-url': front.directoryUrl.replace('/directory', ''),
    })
    const added = await hearthOperator('device', 'add', '--config', third.settings, '--json')
    expect(added).toMatchObject({ code: 0 })
    const names = async ({ settings }: OperatorProgram): Promise<string[]> => {
      const { stdout } = await hearthOperator('device', 'list', '--config', settings, '--json')
      return (JSON.parse(stdout) as DeviceSummary[]).map(({ name }) => name).toSorted()
    }
    const everywhere = await names(third)
    expect(everywhere).toHaveLength(2)
    expect(await names(front)).toEqual(everywhere)
    // Two at the same time: each of their devices is there, because nothing is locked and every row is its own.
    const many = await Promise.all(
      [third, back, third].map(({ settings }) =>
        hearthOperator('device', 'add', '--count', '20', '--config', settings),
      ),
    )
    expect(many.map(({ code, stderr }) => ({ code, stderr }))).toEqual(many.map(() => ({ code: 0, stderr: '' })))
    expect(await names(back)).toHaveLength(everywhere.length + 60)
    // What is about a running service is asked of that one only.
    const status = await hearthOperator('status', '--config', third.settings)
    expect(status).toMatchObject({ code: 1, stderr: expect.stringContaining('NOT_RUNNING') })
    const audited = await hearthOperator('audit', 'verify', '--config', third.settings)
    expect(audited).toMatchObject({ code: 0 })
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
