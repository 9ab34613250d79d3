import { chmodSync, chownSync, cpSync, mkdirSync, readdirSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { homedir } from 'node:os'
import { beforeAll, describe, expect, it } from 'vitest'
import type { NewDevice } from '../../src/operator/delegation/device.ts'
import type { RouterStatus } from '../../src/router/admin/operations.ts'
import { makeAuthority } from './support/authority.ts'
import { eventually, everythingSaid, type Ran, run } from './support/daemon.ts'
import {
  hearth,
  hearthOperator,
  type OperatorProgram,
  operatorIn,
  PROGRAM,
  type RouterProgram,
  routerIn,
  UNREGISTERED,
} from './support/hearth.ts'
import { freePort } from './support/ports.ts'
import { kdig, probe } from './support/probe.ts'
import { openScene } from './support/scene.ts'

const INTERNAL = { authorities: [{ name: 'internal', kind: 'internal' }] }
const CONFIG_EXIT = 78
/** `nobody`: has no rights on anything of ours. */
const NOBODY = 65_534
const isRoot = process.getuid?.() === 0

describe('a settings file', () => {
  const scene = openScene()

  it.each(['check', 'run'])(
    'of a router with mistakes: `hearth %s` lists all of them with their places',
    async (verb) => {
      const file = await scene.write(
        'hearth.yaml',
        `identity:
  name: not a name
  acme-delegation:
    directory: http://insecure.example/
    eab: { kid: x, key-file: eab.key }
    lifetime: 5 parsecs
listen:
  dot: ["127.0.0.1:99999"]
upstreams:
  - adress: udp://192.0.2.1
cachee: { size: 1MiB }
`,
      )
      const { code, stderr } = await hearth(verb, ...(verb === 'run' ? ['--config', file] : [file]))
      expect(code).toBe(CONFIG_EXIT)
      expect(places(stderr, file)).toEqual([
        '2:9 identity.name',
        '4:16 identity.acme-delegation.directory',
        '6:15 identity.acme-delegation.lifetime',
        '8:9 listen.dot.0',
        '10:5 upstreams.0.url',
        '10:5 upstreams.0.adress',
        '11:1 cachee',
      ])
      expect(stderr).toContain('(did you mean `cache`?)')
    },
  )

  it.each(['check', 'run'])('of an operator with mistakes: `hearth-operator %s` does the same', async (verb) => {
    const file = await scene.write(
      'hearth-operator.yaml',
      `store: mysql://x
zone: {}
authorities:
  - { name: A, kind: acme }
  - { name: b, kind: magic }
delegation:
  key-types: [ed25519]
`,
    )
    const { code, stderr } = await hearthOperator(verb, ...(verb === 'run' ? ['--config', file] : [file]))
    expect(code).toBe(CONFIG_EXIT)
    expect(places(stderr, file)).toEqual([
      '1:8 store',
      '2:1 zone.name',
      '4:13 authorities.0.name',
      '5:22 authorities.1.kind',
      '7:15 delegation.key-types.0',
    ])
  })

  it('that is not there is named', async () => {
    for (const program of [hearth, hearthOperator]) {
      const { code, stderr } = await program('run', '--config', scene.path('none.yaml'))
      expect(code).toBe(CONFIG_EXIT)
      expect(stderr).toContain(`cannot read the settings file ${scene.path('none.yaml')}`)
      expect(stderr).toContain('CONFIG_UNREADABLE')
    }
  })
})

describe('what stands in the way of a start', () => {
  const scene = openScene()
  let operator: OperatorProgram
  let router: RouterProgram

  beforeAll(async () => {
    operator = await operatorIn(scene, 'operator', INTERNAL)
    router = await unregistered('router')
  })

  const unregistered = async (name: string): Promise<RouterProgram> =>
    routerIn(scene, name, {
      device: UNREGISTERED,
      directoryUrl: operator.directoryUrl,
      trust: await scene.write(`${name}/trust.pem`, (await makeAuthority('a stranger')).rootPem),
      lifetime: '1d',
    })

  it.each(['do53', 'dot', 'doh'] as const)('a port of the router in use is named: %s', async (transport) => {
    const held = await holdPort(router.ports[transport])
    const { code, stderr } = await hearth('run', '--config', router.settings)
    held.close()
    expect(code).toBe(1)
    expect(stderr).toContain(`127.0.0.1:${router.ports[transport]} is in use`)
    expect(stderr).toContain('PORT_IN_USE')
    expect(filesIn(router.state)).toEqual(['self-signed.key'])
  })

  it('a state directory in use is named with its owner, and the owner is not disturbed', async () => {
    const daemon = await router.start()
    const { code, stderr } = await hearth('run', '--config', router.settings)
    expect({ code, stderr }).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`${router.state} is in use by process ${daemon.pid}`),
    })
    expect(stderr).toContain('STATE_LOCKED')
    expect((await router.status()).presence.name).toBe(UNREGISTERED.name)
    await daemon.stop()
  })

  it('a state directory without the right to write is named, and stays as it was', async () => {
    const other = await unregistered('readonly')
    for (const [program, { settings, state }] of [['router', other] as const, ['operator', operator] as const]) {
      mkdirSync(state, { recursive: true, mode: 0o755 })
      chmodSync(state, 0o555)
      const { code, stderr } = await runAsNobody(program, settings)
      chmodSync(state, 0o755)
      expect(code).toBe(1)
      expect(stderr).toContain(`${state} cannot be written: no right to write there`)
      expect(stderr).toContain('STATE_UNWRITABLE')
      expect(filesIn(state)).toEqual([])
    }
  })

  /** Root may write everywhere; the programs, and Node itself, may lie where nobody else may look. */
  const runAsNobody = async (program: keyof typeof PROGRAM, settings: string): Promise<Ran> => {
    if (!isRoot) return run(process.execPath, [PROGRAM[program], 'run', '--config', settings])
    const bundle = scene.path(`${program}.mjs`)
    cpSync(PROGRAM[program], bundle)
    const node = process.execPath.startsWith(homedir()) ? scene.path('node') : process.execPath
    if (node !== process.execPath) cpSync(process.execPath, node)
    chmodSync(scene.directory, 0o755)
    for (const file of [bundle, settings, scene.path('readonly/eab.key'), scene.path('readonly/trust.pem')])
      chownSync(file, NOBODY, NOBODY)
    return run(node, [bundle, 'run', '--config', settings], { uid: NOBODY, gid: NOBODY, cwd: '/' })
  }
})

describe('a router', () => {
  const scene = openScene()
  let operator: OperatorProgram
  let device: NewDevice

  const routerFor = async (
    name: string,
    more: { directoryUrl?: string; trust?: string } = {},
  ): Promise<RouterProgram> =>
    routerIn(scene, name, {
      device,
      directoryUrl: operator.directoryUrl,
      trust: operator.root,
      lifetime: '1d',
      ...more,
    })
  const enrolled = (router: RouterProgram): Promise<RouterStatus> =>
    eventually(async () => {
      const status = await router.status()
      expect(status.presence.certificate).toBeDefined()
      return status
    })

  beforeAll(async () => {
    operator = await operatorIn(scene, 'operator', INTERNAL)
    await operator.start()
    device = await operator.addDevice()
  })

  it.each<[string, () => Promise<{ directoryUrl?: string; trust?: string }>, RegExp]>([
    [
      'an operator out of reach',
      async () => ({ directoryUrl: `https://127.0.0.1:${await freePort()}/directory` }),
      /nobody listens there/,
    ],
    [
      'an operator it must not believe',
      async () => ({ trust: await scene.write('stranger.pem', (await makeAuthority('a stranger')).rootPem) }),
      /its chain does not lead to a trust anchor of ours/,
    ],
  ])('with %s serves what it can, advertises nothing and says why', async (_what, more, reason) => {
    const router = await routerFor('alone', await more())
    const daemon = await router.start()
    await eventually(async () => expect((await router.status()).identity.lastError).toBeDefined())
    expect((await router.status()).identity).toMatchObject({
      state: 'waiting-for-first',
      lastError: { code: 'HTTP_UNREACHABLE', message: expect.stringMatching(reason), hint: expect.any(String) },
    })
    expect(daemon.output()).toMatch(/"hint":"check that the server is up.*"msg":"no certificate yet"/)
    const { code, stdout } = await hearth('status', '--config', router.settings)
    expect(code).toBe(0)
    expect(stdout).toMatch(reason)
    expect(stdout).toMatch(/hint +check that the server is up/)
    const { do53, dot } = router.ports
    expect(await probe(dot, router.name, await readFile(operator.root, 'utf8'))).toMatchObject({ kind: 'refused' })
    expect((await kdig(dot, '+tls', '+short', router.name)).stdout).toBe('127.0.0.1\n')
    expect((await kdig(do53, '_dns.resolver.arpa', 'SVCB')).stdout).toMatch(/status: NOERROR;.*\n.*ANSWER: 0;/)
    await daemon.stop()
  })

  describe('whose saved identity was damaged', () => {
    let router: RouterProgram
    let identity: { key: string; chain: string; names: string[] }

    beforeAll(async () => {
      router = await routerFor('damaged')
      const daemon = await router.start()
      await enrolled(router)
      await daemon.stop()
      identity = JSON.parse(await readFile(scene.path('damaged/state/identity.json'), 'utf8')) as typeof identity
    })

    const keyLine = (): string => identity.key.split('\n')[1]!
    it.each<[string, () => string]>([
      ['cut off', () => JSON.stringify(identity).slice(0, 300)],
      ['broken inside the key', () => JSON.stringify(identity).replace(keyLine(), `${keyLine().slice(0, 30)}"x`)],
      ['without a usable key', () => JSON.stringify({ ...identity, key: 'garbage' })],
      ['without a certificate', () => JSON.stringify({ ...identity, chain: 'garbage' })],
    ])('%s: puts the file aside, enrols anew, and shows nothing of the key', async (_how, damage) => {
      await writeFile(scene.path('damaged/state/identity.json'), damage())
      const daemon = await router.start()
      await enrolled(router)
      expect(daemon.output()).toContain(scene.path('damaged/state/identity.json.damaged'))
      expect(daemon.output()).toContain('it was moved aside and a new one is ordered')
      for (let at = 0; at + 8 <= keyLine().length; at += 4)
        expect(daemon.output()).not.toContain(keyLine().slice(at, at + 8))
      await daemon.stop()
    })

    it('by a key of another certificate: enrols anew', async () => {
      const file = scene.path('damaged/state/identity.json')
      const saved = JSON.parse(await readFile(file, 'utf8')) as object
      await writeFile(file, JSON.stringify({ ...saved, key: identity.key }))
      const daemon = await router.start()
      await enrolled(router)
      expect(daemon.output()).toContain('CERT_KEY_MISMATCH')
      await daemon.stop()
    })
  })

  it.each(['self-signed.key', 'account.key'])('with a damaged %s names the file', async (name) => {
    const router = await routerFor('keys')
    const path = scene.path('keys/state', name)
    await scene.write(`keys/state/${name}`, 'garbage\n')
    const message = `${path} is damaged`
    if (name === 'self-signed.key') {
      const { code, stderr } = await hearth('run', '--config', router.settings)
      expect({ code, stderr }).toMatchObject({ code: 1, stderr: expect.stringContaining(message) })
    } else {
      await writeFile(
        scene.path('keys/state/self-signed.key'),
        await readFile(scene.path('alone/state/self-signed.key')),
      )
      await router.start()
      await eventually(async () => expect((await router.status()).identity.lastError).toBeDefined())
      expect((await router.status()).identity.lastError).toMatchObject({ code: 'STATE_DAMAGED', message })
    }
  })

  it('and an operator never say a secret, whatever happens', async () => {
    const secrets = [device.eab.key]
    for (const file of ['damaged/state/identity.json', 'operator/state/authority-internal.json'])
      secrets.push(...keysIn(await readFile(scene.path(file), 'utf8')))
    expect(secrets.length).toBeGreaterThanOrEqual(5)
    for (const secret of secrets) expect(everythingSaid()).not.toContain(secret)
  })
})

describe('an operator', () => {
  const scene = openScene()

  it('with a damaged CA names the file and shows nothing of its key', async () => {
    const operator = await operatorIn(scene, 'operator', INTERNAL)
    const file = 'operator/state/authority-internal.json'
    const secret = 'MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg'
    await scene.write(file, `{"rootCertificate":"x","intermediateKey":"${secret}"x`)
    const { code, stderr } = await hearthOperator('run', '--config', operator.settings)
    expect(code).toBe(1)
    expect(stderr).toContain(`${scene.path(file)} is damaged`)
    expect(stderr).not.toContain(secret.slice(-8))
  })
})

/** `LINE:COLUMN KEY` of every problem. */
function places(complaints: string, file: string): string[] {
  return complaints
    .split('\n')
    .filter((line) => line.startsWith(`${file}:`))
    .map((line) => line.slice(file.length + 1, line.indexOf(': ', file.length)))
}

function filesIn(directory: string): string[] {
  return readdirSync(directory).sort()
}

/** The lines of PEM private keys inside JSON. */
function keysIn(json: string): string[] {
  const blocks = json.match(/-----BEGIN PRIVATE KEY-----.*?-----END PRIVATE KEY-----/g) ?? []
  return blocks.flatMap((block) => block.split(String.raw`\n`).slice(1, -1))
}

function holdPort(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer().once('error', reject)
    server.listen(port, '127.0.0.1', () => resolve(server))
  })
}
