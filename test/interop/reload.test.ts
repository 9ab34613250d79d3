import { readFile, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { makeAuthority } from './support/authority.ts'
import { eventually } from './support/daemon.ts'
import { routerIn, UNREGISTERED } from './support/hearth.ts'
import { freePort } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene } from './support/scene.ts'
import { unboundIn } from './support/unbound.ts'

describe('SIGHUP', () => {
  const scene = openScene()

  it('takes new settings without closing a listener, and keeps the old ones when the file is wrong', async () => {
    const authority = await makeAuthority('nobody')
    const certificate = await authority.certify({ dnsNames: ['dns.up.test'] })
    const [one, two] = [
      await unboundIn(scene, 'one', { certificate, records: ['www.up.test. 60 IN A 192.0.2.1'] }),
      await unboundIn(scene, 'two', { certificate, records: ['www.up.test. 60 IN A 192.0.2.2'] }),
    ]
    await one.start()
    await two.start()
    const router = await routerIn(scene, 'reload', {
      device: UNREGISTERED,
      directoryUrl: `https://127.0.0.1:${await freePort()}/directory`,
      trust: await scene.write('operator.pem', authority.rootPem),
      lifetime: '1d',
      more: { upstreams: [{ url: `udp://127.0.0.1:${one.ports.plain}` }] },
    })
    const daemon = await router.start()
    const answer = async (): Promise<string> => (await kdig(router.ports.do53, '+short', 'www.up.test')).stdout
    expect(await answer()).toBe('192.0.2.1\n')

    const good = await readFile(router.settings, 'utf8')
    await writeFile(router.settings, good.replaceAll(String(one.ports.plain), String(two.ports.plain)))
    process.kill(daemon.pid, 'SIGHUP')
    await eventually(async () => expect(await answer()).toBe('192.0.2.2\n'))
    expect(daemon.output()).toContain('the new settings are in force')

    await writeFile(router.settings, 'upstreams: none\n')
    process.kill(daemon.pid, 'SIGHUP')
    await eventually(async () => expect(daemon.output()).toContain('the old ones stay in force'))
    expect(daemon.output()).toContain('upstreams: expected a list')
    expect(await answer()).toBe('192.0.2.2\n')
    expect(daemon.output().match(/"listening"/g)).toHaveLength(4)
  })
})
