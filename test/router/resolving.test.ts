import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { loadRouterConfig, type RouterConfig } from '../../src/router/config.ts'
import { derivePresence } from '../../src/router/discovery/derive.ts'
import { createResolving, type Resolving } from '../../src/router/resolving.ts'
import { silentLog } from '../support/log.ts'
import { queryOf, queryWire, responseWire } from '../support/query.ts'
import { writeRouterSettings } from '../support/router-settings.ts'
import { udpServer } from '../support/sockets.ts'

const NEVER = new AbortController().signal

/** The chain as a settings file makes it, over a resolver on loopback. */
async function scene(cache: string) {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-resolving-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const { endpoint, received } = await udpServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1'])))
  const file = await writeRouterSettings(
    directory,
    `access: { allow: [127.0.0.0/8] }
upstreams: [{ url: "udp://127.0.0.1:${endpoint.port}" }]
cache: ${cache}
state: .
`,
  )
  const config = await loadRouterConfig(file)
  const presence = derivePresence({ name: config.identity.name, ...config.advertise }, [], undefined)
  const start = (changes: Partial<RouterConfig> = {}, former?: Resolving, clock = systemClock) =>
    createResolving(
      { ...config, ...changes },
      {
        clock,
        log: silentLog,
        presence: () => presence,
        isClockTrusted: () => true,
        ...(former ? { former } : {}),
      },
    )
  return { start, config, received, files: () => readdir(directory) }
}

async function ask({ resolver }: Resolving): Promise<unknown> {
  return resolver.resolve(queryOf(queryWire('a.example')), NEVER)
}

it('leaves nothing running when it cannot be made', async () => {
  const { start, config } = await scene('{}')
  let sleeping = 0
  const clock: Clock = { ...systemClock, sleep: (...of) => (sleeping++, systemClock.sleep(...of)) }
  await mkdir(join(config.state, 'trust-anchors.json'))
  await expect(start({ dnssec: { ...config.dnssec, validate: true } }, undefined, clock)).rejects.toThrow()
  expect(sleeping).toBe(0)
})

describe('answers', () => {
  it('survive a stop and a start when they are to be kept', async () => {
    const { start, received, files } = await scene('{ persist: true }')
    const first = await start()
    await ask(first)
    await first.stop()
    expect(await files()).toContain('cache.bin')
    const second = await start()
    expect(await ask(second)).toMatchObject({ from: 'cache' })
    expect(received.length).toBe(1)
  })

  it('are gone otherwise', async () => {
    const { start, received, files } = await scene('{}')
    const first = await start()
    await ask(first)
    await first.stop()
    expect(await files()).not.toContain('cache.bin')
    await ask(await start())
    expect(received.length).toBe(2)
  })

  it('are kept over a reload that changes nothing they depend on, and saved at the end alone', async () => {
    const { start, received, files, config } = await scene('{ persist: true }')
    const first = await start()
    await ask(first)
    const second = await start({ log: 'debug', listen: { ...config.listen, dot: [] } }, first)
    await first.stop()
    expect(await files()).not.toContain('cache.bin')
    expect(await ask(second)).toMatchObject({ from: 'cache' })
    expect(received.length).toBe(1)
    await second.stop()
    expect(await files()).toContain('cache.bin')
  })

  it('are asked for anew after a reload that changes the upstreams', async () => {
    const { start, received, config } = await scene('{}')
    const first = await start()
    await ask(first)
    const second = await start({ upstreams: [...config.upstreams, ...config.upstreams] }, first)
    await ask(second)
    expect(received.length).toBe(2)
  })

  it('are saved by the one that goes on when a reload fails', async () => {
    const { start, files } = await scene('{ persist: true }')
    const first = await start()
    await ask(first)
    await (await start({}, first)).stop()
    expect(await files()).not.toContain('cache.bin')
    await first.stop()
    expect(await files()).toContain('cache.bin')
  })

  it('of one group of clients are not shown as those of another', async () => {
    const { start, config } = await scene('{}')
    const { client } = queryOf(queryWire('a.example'))
    const [upstream] = config.upstreams
    const resolving = await start({ upstreams: [upstream!, { ...upstream!, clients: [client.address] }] })
    await ask(resolving)
    const why = async (address: string): Promise<string> =>
      JSON.stringify(await resolving.operations.why!({ name: 'a.example', type: 1, client: address } as never))
    expect(await why(client.address)).toContain('s left')
    expect(await why('127.0.0.2')).toContain('not held')
  })

  it('can be looked at, counted and forgotten by operations', async () => {
    const resolving = await (await scene('{}')).start()
    const operate = (name: string, input: object = {}) => resolving.operations[name]!(input as never)
    await ask(resolving)
    await ask(resolving)
    expect(await operate('cache-show', { name: 'a.example' })).toMatchObject({ answers: [{ type: 'A', hits: 1 }] })
    expect(await operate('why', { name: 'a.example', type: 1, client: '127.0.0.1' })).toMatchObject({
      reasons: [{}, {}, { layer: 'cache', decides: true }],
    })
    expect(await operate('cache-stats')).toMatchObject({ entries: 1, hits: 1, misses: 1 })
    expect(await operate('cache-flush', { name: 'b.example' })).toEqual({ removed: 0 })
    expect(await operate('cache-flush')).toEqual({ removed: 1 })
    expect(resolving.status().cache.entries).toBe(0)
  })
})
