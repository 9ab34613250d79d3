import { readFile, writeFile } from 'node:fs/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import { type Daemon, eventually, pause, run } from './support/daemon.ts'
import { operatorIn, type RouterProgram, routerIn } from './support/hearth.ts'
import { dnsUpdateBy, type Knot, startKnot } from './support/knot.ts'
import { pebbleIn } from './support/pebble.ts'
import { openScene, type Scene } from './support/scene.ts'

const ZONE = 'cpe.test'
/** What Pebble prints once a challenge was answered. */
const VALIDATING = /Pulled a task from the Tasks queue/

/** Two servers of one zone; the second takes nothing over by itself, as a secondary that lags. */
describe('a secondary that lags', () => {
  const scene = openScene()
  const trust = scene.path('trust.pem')
  let primary: Knot
  let secondary: Knot
  let ca: Daemon
  let router: RouterProgram

  beforeAll(async () => {
    primary = await startKnot(scene, { [ZONE]: '' })
    secondary = await startKnot(below(scene, 'secondary'), { [ZONE]: '' })
    const pebble = await pebbleIn(scene, { dnsServer: secondary.address, validityS: 3600 })
    ca = await pebble.start()
    const program = await operatorIn(scene, 'operator', {
      zone: {
        name: ZONE,
        'dns-update': await dnsUpdateBy(primary, scene),
        'check-servers': [primary.address, secondary.address],
      },
      authorities: [{ name: 'pebble', kind: 'acme', directory: pebble.directoryUrl, trust: pebble.trust }],
    })
    await program.start()
    await writeFile(trust, (await readFile(program.root, 'utf8')) + (await pebble.issuingRoot()))
    const { directoryUrl } = program
    router = await routerIn(scene, 'router', { device: await program.addDevice(), directoryUrl, trust, lifetime: '1h' })
  })

  it('holds back the answer to the challenge until it has the record too', async () => {
    await router.start()
    const [record] = await eventually(async () => {
      const records = await primary.txtRecords(ZONE)
      expect(records).toHaveLength(1)
      return records
    })
    await pause(3_000)
    expect(ca.output()).toContain('Added order')
    expect(ca.output()).not.toMatch(VALIDATING)
    const [, value] = /TXT\s+"?([\w-]{43})"?/.exec(record!)!
    await takeOver(`_acme-challenge.${router.name}. 5 TXT ${value}`)
    await eventually(async () => expect((await router.status()).presence.certificate).toBeDefined(), 60_000)
    expect(ca.output()).toMatch(VALIDATING)
    expect(ca.output()).toContain('set VALID by completed challenge')
  })

  const takeOver = async (record: string): Promise<void> => {
    const key = await scene.write('tsig.key', `hmac-sha256:${secondary.tsig.name}:${secondary.tsig.secret}`)
    const script = await scene.write(
      'update.txt',
      `server 127.0.0.1 ${secondary.port}\nzone ${ZONE}\nadd ${record}\nsend\n`,
    )
    expect(await run('knsupdate', ['-k', key, script])).toMatchObject({ code: 0 })
  }
})

function below(scene: Scene, directory: string): Scene {
  const inside = (name: string): string => `${directory}/${name}`
  return {
    ...scene,
    path: (...parts) => scene.path(directory, ...parts),
    write: (name, content, mode) => scene.write(inside(name), content, mode),
    settings: (name, tree) => scene.settings(inside(name), tree),
  }
}
