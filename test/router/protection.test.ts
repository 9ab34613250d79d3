import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import type { Override } from '../../src/core/settings.ts'
import { CLASS, RCODE, TYPE } from '../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import { loadRouterConfig } from '../../src/router/config.ts'
import type { Transport } from '../../src/router/resolve/resolver.ts'
import type { Why } from '../../src/router/resolve/why.ts'
import { createResolving, type Resolving } from '../../src/router/resolving.ts'
import { silentLog } from '../support/log.ts'
import { queryOf, queryWire } from '../support/query.ts'
import { udpServer } from '../support/sockets.ts'

/** The whole chain, made from a settings file, with an upstream that says whatever the name says. */

const NAME = 'cpe-7f3a.example.net'
const ADDRESSES: Readonly<Record<string, string>> = {
  'evil.example': '192.168.1.1',
  'other.example.net': '192.168.1.2',
  'tv.plex.direct': '192.168.1.3',
}
const presence = () => ({ name: NAME, addresses: ['192.168.1.1'], do53Port: 53, endpoints: [] })

async function scene(overrides: readonly string[] = []) {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-protection-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const { endpoint, received } = await udpServer((wire, reply) => {
    const view = MessageView.over(wire)!
    const { questionName: name, questionType: type } = view
    const address = ADDRESSES[name] ?? '192.0.2.1'
    const answers = type === TYPE.A ? [{ name, type, class: CLASS.IN, ttl: 300, data: { address } }] : []
    reply(buildMessage({ id: view.id, isResponse: true, questions: [{ name, type, class: CLASS.IN }], answers }))
  })
  const file = join(directory, 'hearth.yaml')
  await writeFile(join(directory, 'eab.key'), 'c2VjcmV0\n', { mode: 0o600 })
  await writeFile(join(directory, 'ads.txt'), '# ads\n||ads.example^\n')
  await writeFile(
    file,
    `identity:
  name: ${NAME}
  acme-delegation: { directory: "https://acme.isp.example/directory", eab: { kid: k, key-file: eab.key } }
upstreams: [ { url: "udp://127.0.0.1:${endpoint.port}" } ]
protection: { rebinding: { allow: ["*.plex.direct"] } }
block: { lists: [ { name: ads, file: ads.txt } ] }
`,
  )
  const sets = overrides.map((text): Override => {
    const [path = '', value = ''] = text.split('=')
    return { path: path.split('.'), value }
  })
  const config = await loadRouterConfig(file, sets)
  const open = async (former?: Resolving): Promise<Resolving> => {
    const resolving = await createResolving(config, {
      clock: systemClock,
      log: silentLog,
      presence,
      isClockTrusted: () => true,
      ...(former ? { former } : {}),
    })
    onTestFinished(() => resolving.stop())
    return resolving
  }
  return { open, received, directory }
}

async function ask(
  { resolver }: Resolving,
  name: string,
  address = '192.168.1.7',
  transport: Transport = 'udp',
): Promise<Message & { readonly codes: readonly number[] }> {
  const query = { ...queryOf(queryWire(name), transport), client: { address, transport } }
  const outcome = await resolver.resolve(query, AbortSignal.timeout(5_000))
  if (outcome.kind !== 'answer') throw new Error(`dropped: ${outcome.reason}`)
  return { ...parseMessage(outcome.wire)!, codes: (outcome.extendedErrors ?? []).map(({ code }) => code) }
}
const untilBlocked = async (resolving: Resolving): Promise<void> => {
  while ((await ask(resolving, 'ads.example')).rcode !== RCODE.NXDOMAIN) await systemClock.sleep(2)
}
const addressesOf = ({ answers }: Message): unknown[] =>
  answers.map(({ data }) => (data as { address: string }).address)

describe('the chain', () => {
  it('SEC-2: drops 192.168/16 from an upstream, keeps the ADN, its zone and what the settings allow', async () => {
    const { open } = await scene()
    const resolving = await open()
    expect(await ask(resolving, 'evil.example')).toMatchObject({ rcode: RCODE.NOERROR, answers: [], codes: [17] })
    expect(addressesOf(await ask(resolving, NAME))).toEqual(['192.168.1.1'])
    expect(addressesOf(await ask(resolving, 'other.example.net'))).toEqual(['192.168.1.2'])
    expect(addressesOf(await ask(resolving, 'tv.plex.direct'))).toEqual(['192.168.1.3'])
    expect(resolving.status().protection).toEqual({ limited: 0, withheld: 1 })
  })

  it('blocks without asking anybody, once the list is read', async () => {
    const { open, received } = await scene()
    const resolving = await open()
    await untilBlocked(resolving)
    const asked = received.length
    expect(await ask(resolving, 'x.ads.example')).toMatchObject({ rcode: RCODE.NXDOMAIN, codes: [15] })
    expect(received.length).toBe(asked)
    expect(resolving.status().block?.lists).toMatchObject([{ name: 'ads', names: 1 }])
  })

  it('limits a client, and not what runs on the router', async () => {
    const { open } = await scene(['protection.rate-limit.burst=3', 'protection.rate-limit.queries-per-second=1'])
    const resolving = await open()
    const codes: number[] = []
    for (let index = 0; index < 5; index++) codes.push((await ask(resolving, NAME, '192.168.1.7', 'tcp')).rcode)
    expect(codes).toEqual([0, 0, 0, RCODE.REFUSED, RCODE.REFUSED])
    for (let index = 0; index < 5; index++) expect((await ask(resolving, NAME, '127.0.0.1', 'tcp')).rcode).toBe(0)
  })

  it('after a reload the lists hold from the first question on', async () => {
    const { open, directory } = await scene()
    const former = await open()
    await untilBlocked(former)
    await rm(join(directory, 'ads.txt'))
    const successor = await open(former)
    expect(await ask(successor, 'ads.example')).toMatchObject({ rcode: RCODE.NXDOMAIN, codes: [15] })
    expect(successor.status().block?.lists).toMatchObject([
      { names: 1, problem: expect.stringContaining('cannot be read') },
    ])
  })

  it('can do without all of it', async () => {
    const { open } = await scene([
      'protection.rebinding.enabled=false',
      'protection.rate-limit.enabled=false',
      'block.lists=[]',
    ])
    const resolving = await open()
    expect(addressesOf(await ask(resolving, 'evil.example'))).toEqual(['192.168.1.1'])
    expect(resolving.status().block).toBeUndefined()
  })
})

describe('why', () => {
  const why = ({ operations }: Resolving, name: string, client: string): Promise<Why> =>
    operations.why!({ name, type: TYPE.A, client } as never) as Promise<Why>

  it('goes through the layers in their order, to the one that decides', async () => {
    const { open, directory } = await scene()
    const resolving = await open()
    await untilBlocked(resolving)
    const { reasons } = await why(resolving, 'x.ads.example', '192.168.1.7')
    expect(reasons.slice(0, 2).map(({ layer, decides }) => [layer, decides])).toEqual([
      ['access', false],
      ['rate-limit', false],
    ])
    expect(reasons.at(-1)).toEqual({
      layer: 'block',
      says: `blocked by list ads: ${join(directory, 'ads.txt')}:2 ads.example and all below it; answered with nxdomain`,
      decides: true,
    })
  })

  it('says what becomes of a name that nothing stops', async () => {
    const { open } = await scene()
    const { reasons } = await why(await open(), 'tv.plex.direct', '127.0.0.1')
    const says = Object.fromEntries(reasons.map((reason) => [reason.layer, reason.says]))
    expect(says).toMatchObject({
      'rate-limit': '127.0.0.1 is not counted',
      block: 'on no list',
      rebinding: expect.stringContaining('plex.direct'),
    })
  })

  it('ends with a client that may not ask', async () => {
    const { open } = await scene()
    const { reasons } = await why(await open(), 'a.example', '192.0.2.1')
    expect(reasons).toMatchObject([{ layer: 'access', decides: true }])
  })
})
