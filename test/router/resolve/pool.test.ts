import { describe, expect, it } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import { RCODE } from '../../../src/dns/codes.ts'
import { chainOf } from '../../../src/router/resolve/chain.ts'
import { withDedup } from '../../../src/router/resolve/dedup.ts'
import type { Resolver } from '../../../src/router/resolve/resolver.ts'
import { settle } from '../../support/manual-clock.ts'
import { answers, type Behaviour, poolOf, ScriptedUpstream, SILENT, UNREACHABLE } from '../../support/pool.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

/** Upstreams called a, b, c ... that do these things. */
function scripted(does: readonly Behaviour[], options: Parameters<typeof poolOf>[1] = {}) {
  const upstreams: ScriptedUpstream[] = []
  const world = poolOf((clock) => {
    upstreams.push(...does.map((each, index) => new ScriptedUpstream('abcdef'[index]!, clock, each)))
    return upstreams
  }, options)
  return Object.assign(world, { upstreams })
}

const asked = ({ upstreams }: { readonly upstreams: readonly ScriptedUpstream[] }): number[] =>
  upstreams.map(({ questions }) => questions.length)

describe('failover', () => {
  it('the first that works is asked, and nobody else', async () => {
    const world = scripted([answers(), answers()])
    for (let index = 0; index < 3; index++) expect(await world.asked()).toMatchObject({ from: 'a', tookMs: 10 })
    expect(asked(world)).toEqual([3, 0])
  })

  it('the second is asked as soon as the first fails', async () => {
    const world = scripted([UNREACHABLE, answers()])
    expect(await world.asked()).toMatchObject({ from: 'b', tookMs: 10 })
    expect(asked(world)).toEqual([1, 1])
  })

  it('the second is asked beside the first after two seconds', async () => {
    const world = scripted([SILENT, answers()])
    expect(await world.asked()).toMatchObject({ from: 'b', tookMs: 2_010 })
    expect(world.upstreams[1]!.questions).toEqual([2_000])
  })

  it('the first stays asked: its answer counts when it comes before that of the second', async () => {
    const world = scripted([answers(2_500), answers(1_000)])
    expect(await world.asked()).toMatchObject({ from: 'a', tookMs: 2_500 })
  })

  it('one that has just failed to answer is given less time, until it answers again', async () => {
    const world = scripted([SILENT, answers()])
    world.upstreams[0]!.probe = SILENT
    await world.asked()
    expect(await world.asked()).toMatchObject({ from: 'b', tookMs: 410 })
    world.upstreams[0]!.does = answers(300)
    expect(await world.asked()).toMatchObject({ from: 'a', tookMs: 300 })
    world.upstreams[0]!.does = answers(500)
    expect(await world.asked()).toMatchObject({ from: 'a', tookMs: 500 })
  })

  it('each is asked once for a question, whatever happens (RFC 9520 §3.1)', async () => {
    const world = scripted([SILENT, UNREACHABLE, answers(5, RCODE.SERVFAIL), SILENT])
    expect(await world.asked()).toMatchObject({ rcode: RCODE.SERVFAIL, from: 'c' })
    expect(asked(world)).toEqual([1, 1, 1, 1])
  })
})

describe('answers that do not end the search', () => {
  it.each(['SERVFAIL', 'REFUSED', 'NOTIMP', 'FORMERR'] as const)('%s: the next one is asked', async (rcode) => {
    expect(await scripted([answers(5, RCODE[rcode]), answers(5)]).asked()).toMatchObject({ from: 'b', tookMs: 10 })
  })

  it.each(['NXDOMAIN', 'YXDOMAIN'] as const)('%s is final', async (rcode) => {
    expect(await scripted([answers(5, RCODE[rcode]), answers(5)]).asked()).toMatchObject({ rcode: RCODE[rcode] })
  })

  it('the last of them is given when nobody does better, with its extended errors', async () => {
    const bogus = resolverOf(async ({ view }) => {
      const wire = Uint8Array.from(view.wire)
      wire[2]! |= 0x80
      wire[3] = RCODE.SERVFAIL
      return { kind: 'answer', wire, from: 'validating', extendedErrors: [{ code: 6, text: 'bogus' }] }
    })
    const world = poolOf((clock) => [new ScriptedUpstream('a', clock, UNREACHABLE), bogus])
    expect(await world.asked()).toMatchObject({
      rcode: RCODE.SERVFAIL,
      from: 'validating',
      extendedErrors: [{ code: 6, text: 'bogus' }],
    })
  })

  it('do not count against an upstream: the name may be to blame', async () => {
    const world = scripted([answers(5, RCODE.SERVFAIL), answers(5)])
    for (let index = 0; index < 5; index++) await world.asked()
    expect(world.members[0]!.status()).toMatchObject({ state: 'up', failures: 5, failuresInARow: 0 })
  })
})

describe('fastest', () => {
  it('asks each once, then the one that answers soonest', async () => {
    const world = scripted([answers(80), answers(20), answers(50)], { strategy: 'fastest' })
    for (let index = 0; index < 10; index++) await world.asked()
    expect(asked(world)).toEqual([1, 8, 1])
  })

  it('follows when that changes', async () => {
    const world = scripted([answers(20), answers(50)], { strategy: 'fastest' })
    for (let index = 0; index < 4; index++) await world.asked()
    world.upstreams[0]!.does = answers(400)
    for (let index = 0; index < 20; index++) await world.asked()
    const before = asked(world)[1]!
    await world.asked()
    expect(asked(world)[1]).toBe(before + 1)
  })

  it('a question in twenty also asks another one, and does not wait for it', async () => {
    let seed = 7
    const world = scripted([answers(20), answers(300)], {
      strategy: 'fastest',
      random: () => (seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31) / 2 ** 31,
    })
    for (let index = 0; index < 3; index++) await world.asked()
    const before = asked(world)
    const slowest = []
    for (let index = 0; index < 100; index++) slowest.push((await world.asked()).tookMs)
    const [best, other] = asked(world).map((total, index) => total - before[index]!)
    expect(best).toBe(100)
    expect(other).toBeGreaterThan(2)
    expect(other).toBeLessThan(12)
    expect(Math.max(...slowest)).toBe(20)
  })

  it('a slow one is tried again when its measurement is old', async () => {
    const world = scripted([answers(20), answers(200)], { strategy: 'fastest' })
    for (let index = 0; index < 3; index++) await world.asked()
    expect(asked(world)).toEqual([2, 1])
    for (let minute = 0; minute < 60; minute++) {
      await world.clock.advance(60_000)
      await world.asked()
    }
    const [best, slow] = asked(world) as [number, number]
    expect(slow).toBeGreaterThan(1)
    expect(best).toBeGreaterThan(3 * slow)
  })
})

describe('parallel', () => {
  it('asks the two fastest at once; the first usable answer counts', async () => {
    const world = scripted([answers(80), answers(20), answers(50)], { strategy: 'parallel' })
    for (let index = 0; index < 3; index++) await world.asked()
    await world.clock.advance(200)
    const before = asked(world)
    expect(await world.asked()).toMatchObject({ from: 'b', tookMs: 20 })
    expect(asked(world).map((total, index) => total - before[index]!)).toEqual([0, 1, 1])
  })

  it('a refusal does not win the race', async () => {
    const world = scripted([answers(5, RCODE.REFUSED), answers(100)], { strategy: 'parallel' })
    expect(await world.asked()).toMatchObject({ from: 'b', rcode: RCODE.NOERROR })
  })
})

describe('an upstream that is down', () => {
  it('is asked last, and delays nobody', async () => {
    const world = scripted([UNREACHABLE, answers()])
    for (let index = 0; index < 3; index++) await world.asked()
    expect(world.members[0]!.status()).toMatchObject({ state: 'down' })
    const before = asked(world)[0]
    expect(await world.asked()).toMatchObject({ from: 'b', tookMs: 10 })
    expect(asked(world)[0]).toBe(before)
  })

  it('is the last resort when those that are up cannot answer', async () => {
    const world = scripted([UNREACHABLE, answers()])
    for (let index = 0; index < 3; index++) await world.asked()
    world.upstreams[0]!.does = answers(20)
    world.upstreams[0]!.probe = UNREACHABLE
    world.upstreams[1]!.does = answers(5, RCODE.REFUSED)
    expect(await world.asked()).toMatchObject({ from: 'a', rcode: RCODE.NOERROR })
  })
})

describe('when all are down', () => {
  const allDown = async (does: Behaviour, count = 2) => {
    const world = scripted(Array.from({ length: count }, () => does))
    await Promise.all([world.asked(), world.ask(), world.ask(), world.ask()])
    await world.clock.advance(8_000)
    expect(world.members.every(({ isDown }) => isDown)).toBe(true)
    return world
  }

  it('100 questions get SERVFAIL and extended error 22 in the same instant, and no upstream is asked', async () => {
    const world = await allDown(SILENT)
    const before = asked(world)
    const failed = await Promise.all(Array.from({ length: 100 }, () => world.ask()))
    expect(new Set(failed.map(({ tookMs }) => tookMs))).toEqual(new Set([0]))
    expect(failed[99]).toMatchObject({
      rcode: RCODE.SERVFAIL,
      extendedErrors: [{ code: 22, text: 'all upstreams are down: a did not answer in time' }],
    })
    expect(asked(world)).toEqual(before)
  })

  it('the extended error is 23 when the network said so', async () => {
    const world = await allDown(UNREACHABLE)
    expect(await world.ask()).toMatchObject({ extendedErrors: [{ code: 23 }] })
  })

  it.each([
    ['silence', SILENT],
    ['errors', UNREACHABLE],
  ] as const)(
    'people who ask have answers within five seconds of the return of the link, after %s',
    async (_, does) => {
      const worst: number[] = []
      // The link returns at any moment between two probes.
      for (let offsetMs = 0; offsetMs < 4_000; offsetMs += 500) {
        const world = await allDown(does, 1)
        await world.clock.advance(600_000)
        for (let ms = 0; ms < 20_000 + offsetMs; ms += 500) {
          await world.ask()
          await world.clock.advance(500)
        }
        world.upstreams[0]!.does = answers(30)
        let tookMs = 0
        while ((await world.asked()).rcode !== RCODE.NOERROR && tookMs < 60_000) {
          tookMs += 100
          await world.clock.advance(100)
        }
        worst.push(tookMs)
        expect(world.recoveries).toBe(1)
        world.stop()
      }
      expect(Math.max(...worst)).toBeLessThan(5_000)
    },
  )
})

describe('deadline', () => {
  it('all in all five seconds, then SERVFAIL with extended error 22', async () => {
    const world = scripted([SILENT, SILENT, SILENT, SILENT])
    expect(await world.asked(60_000)).toMatchObject({
      tookMs: 5_000,
      rcode: RCODE.SERVFAIL,
      extendedErrors: [{ code: 22 }],
    })
    expect(asked(world)).toEqual([1, 1, 1, 0])
  })

  it('sooner when nobody waits as long', async () => {
    expect(await scripted([SILENT, SILENT]).asked(1_500)).toMatchObject({ tookMs: 1_500, rcode: RCODE.SERVFAIL })
  })

  it('nobody is asked for someone who has gone', async () => {
    const world = scripted([answers()])
    expect(await world.ask(5_000, AbortSignal.abort())).toMatchObject({ from: 'pool' })
    expect(asked(world)).toEqual([0])
  })
})

describe('a question nobody could answer', () => {
  const failureOf = async (error: unknown): Promise<{ rcode: number; errors: unknown }> => {
    const { rcode, extendedErrors } = await poolOf(() => [resolverOf(() => Promise.reject(error))]).ask()
    return { rcode, errors: extendedErrors }
  }

  it('is SERVFAIL with the reason as extended error, never a throw', async () => {
    expect(await failureOf(new Fault('UPSTREAM_TIMEOUT', 'up did not answer in time'))).toEqual({
      rcode: RCODE.SERVFAIL,
      errors: [{ code: 22, text: 'up did not answer in time' }],
    })
    expect(await failureOf(new Fault('UPSTREAM_UNTRUSTED', 'up is not who it should be'))).toEqual({
      rcode: RCODE.SERVFAIL,
      errors: [{ code: 23, text: 'up is not who it should be' }],
    })
  })

  it('keeps the words of a bug inside', async () => {
    expect(await failureOf(new TypeError('x is not a function'))).toEqual({
      rcode: RCODE.SERVFAIL,
      errors: [{ code: 23, text: 'internal error' }],
    })
  })

  it('is SERVFAIL when an upstream throws instead of rejecting', async () => {
    const throwing = resolverOf(() => {
      throw new Error('at once')
    })
    expect(await poolOf(() => [throwing]).ask()).toMatchObject({ from: 'pool' })
  })
})

it('a loop through another forwarder costs one question, not a storm: the one that comes back joins the first', async () => {
  let sent = 0
  // The other forwarder sends every question back to us.
  const other = resolverOf(async (query, signal) => {
    sent++
    await Promise.resolve()
    return chain.resolve(query, signal)
  }, 'other')
  const world = poolOf(() => [other])
  const chain: Resolver = chainOf([withDedup()], world.pool)
  void chain.resolve(queryOf(queryWire('a.example')), new AbortController().signal)
  await settle()
  expect(sent).toBe(1)
})
