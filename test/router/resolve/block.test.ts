import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { CLASS, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import { type Blocking, type BlockingOptions, createBlocking } from '../../../src/router/resolve/block.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import { chainOf } from '../../../src/router/resolve/chain.ts'
import { withDedup } from '../../../src/router/resolve/dedup.ts'
import type { Client, Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { silentLog } from '../../support/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

const NEVER = new AbortController().signal
const KID = '192.168.1.70'
const PARENT = '192.168.1.7'

/** Answers with an address, through the aliases that the name has. */
function upstream(aliases: Readonly<Record<string, string>> = {}): Resolver & { asked: number } {
  return resolverOf(async ({ view }) => {
    const { questionName: name, questionType: type } = view
    const target = aliases[name]
    const common = { class: CLASS.IN, ttl: 300 }
    const wire = buildMessage({
      isResponse: true,
      questions: [{ name, type, class: view.questionClass }],
      answers: [
        ...(target ? [{ ...common, name, type: TYPE.CNAME, data: { host: target } }] : []),
        { ...common, name: target ?? name, type: TYPE.A, data: { address: '192.0.2.1' } },
      ],
    })
    return answerOf(wire, 'up', 'unauthenticated')
  })
}

async function scene(options: Partial<BlockingOptions> = {}, inside = upstream()) {
  const directory = await mkdtemp(join(tmpdir(), 'hearth-block-'))
  onTestFinished(() => rm(directory, { recursive: true }))
  const path = (name: string): string => join(directory, name)
  await writeFile(path('ads.txt'), '! title\n||ads.example^\n@@||good.ads.example^\n')
  await writeFile(path('adult.txt'), '0.0.0.0 adult.example\n')
  const clock = new ManualClock()
  const block = createBlocking(
    {
      lists: [
        { name: 'ads', file: path('ads.txt') },
        { name: 'adult', file: path('adult.txt') },
      ],
      everybody: ['ads'],
      groups: [{ name: 'kids', clients: ['192.168.1.64/26'], lists: ['ads', 'adult'], answer: 'zero' }],
      allow: ['allowed.ads.example'],
      allowFiles: [],
      answer: 'nxdomain',
      ttlS: 60,
      cloaking: true,
      ...options,
    },
    { clock, log: silentLog },
  )
  onTestFinished(() => block.stop())
  const cache = withCache({ bytesMax: 1 << 20, clock, nxdomainCut: true })
  const layers = [block.questions, cache.layer, withDedup(), block.aliases]
  const chain = chainOf(
    layers.filter((layer) => layer !== undefined),
    inside,
  )
  return { block, chain, inside, path }
}

const query = (name: string, address: string, type: number = TYPE.A): Query => ({
  ...queryOf(queryWire(name, type)),
  client: { address, transport: 'udp' } satisfies Client,
})
async function ask(chain: Resolver, name: string, address = PARENT, type: number = TYPE.A) {
  const outcome: Outcome = await chain.resolve(query(name, address, type), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  const message = parseMessage(outcome.wire) as Message
  return { ...outcome, message }
}
async function loaded(block: Blocking): Promise<void> {
  await block.ready
}

describe('a blocked question', () => {
  it('is answered in the same tick: NXDOMAIN with extended error 15 and the name of the list', async () => {
    const { block, chain, inside } = await scene()
    await loaded(block)
    expect(chain.resolve(query('x.Ads.example', PARENT), NEVER)).toMatchObject({ kind: 'answer', from: 'block' })
    const { message, extendedErrors, freshS } = await ask(chain, 'x.Ads.example')
    expect(message).toMatchObject({
      id: 0x1234,
      rcode: RCODE.NXDOMAIN,
      questions: [{ name: 'x.Ads.example' }],
      answers: [],
      authorities: [{ type: TYPE.SOA, ttl: 60, data: { minimum: 60 } }],
    })
    expect([extendedErrors, freshS, inside.asked]).toEqual([[{ code: 15, text: 'list ads' }], 60, 0])
    expect(block.status()).toMatchObject({ names: 2, blocked: 2 })
  })

  it('by a list of a group: extended error 17, and the answer of the group', async () => {
    const { block, chain } = await scene()
    await loaded(block)
    const { message, extendedErrors } = await ask(chain, 'adult.example', KID)
    expect(message.answers).toMatchObject([{ data: { address: '0.0.0.0' }, ttl: 60 }])
    expect(extendedErrors).toEqual([{ code: 17, text: 'list adult' }])
    expect((await ask(chain, 'adult.example', KID, TYPE.AAAA)).message.answers).toMatchObject([
      { data: { address: '::' } },
    ])
    expect((await ask(chain, 'adult.example', PARENT)).from).toBe('up')
  })

  it('may be REFUSED, which no cache keeps', async () => {
    const { block, chain } = await scene({ answer: 'refused' })
    await loaded(block)
    const { message, freshS, extendedErrors } = await ask(chain, 'ads.example')
    expect([message.rcode, message.authorities, freshS]).toEqual([RCODE.REFUSED, [], undefined])
    expect(extendedErrors).toMatchObject([{ code: 15 }])
  })
})

describe('what is let through', () => {
  it('everything until the lists are read', async () => {
    const { block, chain } = await scene()
    expect((await ask(chain, 'ads.example')).from).toBe('up')
    await loaded(block)
    expect((await ask(chain, 'ads.example')).from).toBe('block')
  })

  it('exceptions of a list, names of the settings, other classes', async () => {
    const { block, chain } = await scene()
    await loaded(block)
    for (const name of ['good.ads.example', 'www.allowed.ads.example', 'example'])
      expect((await ask(chain, name)).from, name).toBe('up')
    const chaos = queryWire('ads.example', TYPE.TXT, { questions: [{ name: 'ads.example', type: TYPE.TXT, class: 3 }] })
    expect(await chain.resolve(queryOf(chaos), NEVER)).toMatchObject({ from: 'up' })
  })
})

describe('an alias of a blocked name', () => {
  const aliases = {
    'track.shop.example': 'x.ads.example',
    'see.example': 'adult.example',
    'ok.example': 'good.ads.example',
  }

  it('is blocked by what the answer says, once, and then from the cache', async () => {
    const { block, chain, inside } = await scene({}, upstream(aliases))
    await loaded(block)
    const { message, extendedErrors } = await ask(chain, 'track.shop.example')
    expect([message.rcode, message.answers]).toEqual([RCODE.NOERROR, []])
    expect(extendedErrors).toEqual([{ code: 15, text: 'list ads' }])
    expect(await ask(chain, 'Track.shop.example')).toMatchObject({ from: 'cache', extendedErrors })
    expect(inside.asked).toBe(1)
    expect((await ask(chain, 'ok.example')).message.answers).toHaveLength(2)
  })

  it('is let through where the name itself is allowed', async () => {
    const { block, chain } = await scene({ allow: ['shop.example'] }, upstream(aliases))
    await loaded(block)
    expect((await ask(chain, 'track.shop.example')).message.answers).toHaveLength(2)
  })

  it('takes nothing from the names below it', async () => {
    const { block, chain } = await scene({}, upstream(aliases))
    await loaded(block)
    await ask(chain, 'track.shop.example')
    expect((await ask(chain, 'www.track.shop.example')).message.answers).toHaveLength(1)
  })

  it('groups do not get the verdicts of others from the cache', async () => {
    const { block, chain } = await scene({}, upstream(aliases))
    await loaded(block)
    for (let round = 0; round < 2; round++) {
      expect((await ask(chain, 'see.example', PARENT)).message.answers).toHaveLength(2)
      expect((await ask(chain, 'see.example', KID)).message.answers).toMatchObject([{ data: { address: '0.0.0.0' } }])
    }
  })

  it('without cloaking protection: all share their cached answers', async () => {
    const { block, chain, inside } = await scene({ cloaking: false }, upstream(aliases))
    await loaded(block)
    expect((await ask(chain, 'track.shop.example')).message.answers).toHaveLength(2)
    inside.asked = 0
    for (const address of [PARENT, KID])
      expect((await ask(chain, 'see.example', address)).message.answers).toHaveLength(2)
    expect(inside.asked).toBe(1)
  })
})

describe('explain', () => {
  it('names list, file, line and rule', async () => {
    const { block, path } = await scene()
    await loaded(block)
    expect(await block.explain({ name: 'x.ads.example' }, PARENT)).toEqual({
      layer: 'block',
      says: `blocked by list ads: ${path('ads.txt')}:2 ads.example and all below it; answered with nxdomain`,
      decides: true,
    })
    expect(await block.explain({ name: 'adult.example' }, KID)).toMatchObject({
      says: `blocked for group kids by list adult: ${path('adult.txt')}:1 adult.example; answered with zero`,
    })
  })

  it('says why something is let through', async () => {
    const { block, path } = await scene()
    await loaded(block)
    const says = async (name: string) => (await block.explain({ name }, PARENT)).says
    expect(await says('good.ads.example')).toBe(
      `allowed by list ads: ${path('ads.txt')}:3 good.ads.example and all below it`,
    )
    expect(await says('allowed.ads.example')).toBe('allowed by block.allow')
    expect(await says('adult.example')).toBe('on no list')
  })

  it('is honest when the file has changed since', async () => {
    const { block, path } = await scene()
    await loaded(block)
    await writeFile(path('ads.txt'), '')
    expect((await block.explain({ name: 'ads.example' }, PARENT)).says).toContain('had the rule when it was read last')
  })
})
