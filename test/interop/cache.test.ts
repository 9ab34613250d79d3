import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { makeAuthority } from './support/authority.ts'
import { type Daemon, eventually, pause } from './support/daemon.ts'
import { hearth, type RouterProgram, routerIn, UNREGISTERED } from './support/hearth.ts'
import { freePort } from './support/ports.ts'
import { kdig } from './support/probe.ts'
import { openScene } from './support/scene.ts'
import { type Unbound, unboundIn } from './support/unbound.ts'

const RECORDS = ['short.up.test. 1 IN A 192.0.2.1', 'long.up.test. 600 IN A 192.0.2.2']

describe('the cache of a running router', () => {
  const scene = openScene()
  let unbound: Unbound
  let unboundDaemon: Daemon
  let router: RouterProgram
  let routerDaemon: Daemon
  const cli = (verb: string, ...args: readonly string[]) => hearth('cache', verb, '--config', router.settings, ...args)

  beforeAll(async () => {
    const authority = await makeAuthority('root of the resolver')
    const certificate = await authority.certify({ dnsNames: ['dns.up.test'] })
    unbound = await unboundIn(scene, 'unbound', { certificate, records: RECORDS })
    unboundDaemon = await unbound.start()
    router = await routerIn(scene, 'router', {
      device: UNREGISTERED,
      directoryUrl: `https://127.0.0.1:${await freePort()}/directory`,
      trust: await scene.write('operator.pem', authority.rootPem),
      lifetime: '1d',
      more: { upstreams: [{ url: `udp://127.0.0.1:${unbound.ports.plain}` }], cache: { persist: true } },
    })
    routerDaemon = await router.start()
  })

  it('is shown, counted and flushed by the command line', async () => {
    const { do53 } = router.ports
    for (let time = 0; time < 2; time++) expect((await kdig(do53, '+short', 'long.up.test')).stdout).toBe('192.0.2.2\n')
    const shown = await cli('show', 'LONG.up.test')
    expect(shown.stdout).toMatch(
      /^; long\.up\.test A: NOERROR, \d+ min.* left, from udp:\/\/127.*, 1 hit\nlong\.up\.test\. \d+ IN A 192\.0\.2\.2\n$/,
    )
    expect(JSON.parse((await cli('stats', '--json')).stdout)).toMatchObject({ entries: 1, hits: 1, misses: 1 })
    expect((await cli('flush', 'up.test')).stdout).toBe('1 answer was forgotten\n')
    expect((await cli('show', 'long.up.test')).stdout).toBe('nothing is held for this name\n')
    expect(await cli('show', 'a..b')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('a..b is not a domain name'),
    })
  })

  it('CACHE-3: helps out with stale answers while the upstream is gone, and CACHE-1: remembers failures', async () => {
    const { do53 } = router.ports
    for (const name of ['short.up.test', 'long.up.test']) await kdig(do53, name)
    await pause(1_100)
    await unboundDaemon.stop('SIGKILL')
    for (let time = 0; time < 2; time++) {
      const { stdout } = await kdig(do53, '+edns', 'short.up.test')
      expect(stdout).toContain('status: NOERROR')
      expect(stdout).toMatch(/short\.up\.test\.\s+30\s+IN\s+A\s+192\.0\.2\.1/)
      expect(stdout).toMatch(/EDE: 3 /)
    }
    await kdig(do53, '+edns', 'new.up.test')
    const again = await kdig(do53, '+edns', 'new.up.test')
    expect(again.stdout).toContain('status: SERVFAIL')
    expect(again.stdout).toMatch(/EDE: 13 /)
  })

  it('CACHE-5: denies what is below a name that does not exist', async () => {
    const { do53 } = router.ports
    unboundDaemon = await unbound.start()
    await eventually(async () => {
      expect((await kdig(do53, 'gone.up.test')).stdout).toContain('status: NXDOMAIN')
    })
    const { misses } = JSON.parse((await cli('stats', '--json')).stdout)
    expect((await kdig(do53, 'a.b.gone.up.test', 'AAAA')).stdout).toContain('status: NXDOMAIN')
    expect(JSON.parse((await cli('stats', '--json')).stdout)).toMatchObject({ misses })
  })

  it('survives a restart', async () => {
    await routerDaemon.stop()
    expect((await stat(join(router.state, 'cache.bin'))).mode & 0o777).toBe(0o600)
    await unboundDaemon.stop('SIGKILL')
    await router.start()
    expect((await kdig(router.ports.do53, '+short', 'long.up.test')).stdout).toBe('192.0.2.2\n')
  })
})
