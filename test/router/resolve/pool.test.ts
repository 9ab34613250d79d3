import { describe, expect, it } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import { RCODE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { createPool } from '../../../src/router/resolve/pool.ts'
import type { Outcome, Query, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog, silentLog } from '../../support/log.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../support/query.ts'

const NEVER = new AbortController().signal
const wire = queryWire('a.example')

const timeout = (): Promise<Outcome> => Promise.reject(new Fault('UPSTREAM_TIMEOUT', 'nobody answered'))

/** An upstream that fails while `works` is false. */
function upstream(id: string, works = true): Resolver & { asked: number; works: boolean; deadlines: number[] } {
  const self: Resolver & { asked: number; works: boolean; deadlines: number[] } = Object.assign(
    resolverOf(async ({ view, deadlineMs }: Query) => {
      self.deadlines.push(deadlineMs)
      return self.works ? answerOf(responseWire(view.wire, ['192.0.2.1']), id, 'unauthenticated') : timeout()
    }, id),
    { works, deadlines: [] as number[] },
  )
  return self
}

function poolOf(...upstreams: readonly Resolver[]) {
  const clock = new ManualClock()
  const { log, lines } = recordingLog()
  const pool = createPool(upstreams, { clock, log })
  const ask = async (withinMs = 5_000, signal = NEVER): Promise<Outcome> =>
    pool.resolver.resolve(queryOf(wire, 'udp', clock.monotonicMs() + withinMs), signal)
  return { pool, clock, lines, ask }
}

describe('order', () => {
  it('the first that works is asked, and nobody else', async () => {
    const [first, second] = [upstream('first'), upstream('second')]
    const { ask } = poolOf(first, second)
    for (let index = 0; index < 3; index++) expect(await ask()).toMatchObject({ from: 'first' })
    expect(second.asked).toBe(0)
  })

  it('the second is asked when the first fails', async () => {
    const [first, second] = [upstream('first', false), upstream('second')]
    expect(await poolOf(first, second).ask()).toMatchObject({ from: 'second' })
    expect([first.asked, second.asked]).toEqual([1, 1])
  })

  it('after three failures in a row an upstream is asked last', async () => {
    const [first, second] = [upstream('first', false), upstream('second')]
    const { pool, ask } = poolOf(first, second)
    for (let index = 0; index < 3; index++) await ask()
    expect(pool.status()).toEqual([
      { id: 'first', state: 'down', failuresInARow: 3, lastError: 'nobody answered' },
      { id: 'second', state: 'up', failuresInARow: 0 },
    ])
    await ask()
    expect([first.asked, second.asked]).toEqual([3, 4])
    second.works = false
    first.works = true
    expect(await ask()).toMatchObject({ from: 'first' })
    expect([first.asked, second.asked]).toEqual([4, 5])
  })

  it('one answer between failures keeps an upstream up', async () => {
    const [first, second] = [upstream('first', false), upstream('second')]
    const { pool, ask } = poolOf(first, second)
    for (let round = 0; round < 3; round++) {
      first.works = false
      await ask()
      await ask()
      first.works = true
      await ask()
    }
    expect(pool.status()[0]).toMatchObject({ state: 'up', failuresInARow: 0 })
  })
})

describe('recovery', () => {
  it('an upstream that answers again comes back to its place, though the second never failed', async () => {
    const [first, second] = [upstream('first', false), upstream('second')]
    const { pool, clock, ask, lines } = poolOf(first, second)
    for (let index = 0; index < 3; index++) await ask()
    first.works = true
    await clock.advance(60_000)
    expect((await ask()).kind).toBe('answer')
    await settle()
    expect(pool.status()[0]).toEqual({ id: 'first', state: 'up', failuresInARow: 0 })
    expect(await ask()).toMatchObject({ from: 'first' })
    expect(lines.map(({ msg }) => msg)).toEqual(['upstream is down', 'upstream answers again'])
  })

  it('is tried beside the question, so nobody waits for an upstream that stays down', async () => {
    let probes = 0
    const hanging = resolverOf(() => (++probes > 3 ? new Promise<Outcome>(() => {}) : timeout()), 'hanging')
    const second = upstream('second')
    const { clock, ask } = poolOf(hanging, second)
    for (let index = 0; index < 3; index++) await ask()
    await clock.advance(60_000)
    expect(await ask()).toMatchObject({ from: 'second' })
    expect(probes).toBe(4)
  })

  it('is tried at growing distances, at most a minute', async () => {
    const [first, second] = [upstream('first', false), upstream('second')]
    const { clock, ask } = poolOf(first, second)
    for (let index = 0; index < 3; index++) await ask()
    const times: number[] = []
    for (let second = 0; second < 300; second++) {
      const before = first.asked
      await clock.advance(1_000)
      await ask()
      if (first.asked > before) times.push(clock.monotonicMs() / 1000)
    }
    expect(times.slice(0, 6)).toEqual([1, 3, 7, 15, 31, 63])
    expect(times.slice(6)).toEqual([123, 183, 243])
  })

  it('says that an upstream is down once', async () => {
    const { ask, lines } = poolOf(upstream('first', false))
    for (let index = 0; index < 10; index++) await ask()
    expect(lines).toMatchObject([{ level: 'warn', upstream: 'first', code: 'UPSTREAM_TIMEOUT' }])
  })
})

describe('deadline', () => {
  it('one upstream has two seconds, or what is left', async () => {
    const [first, second, third] = [upstream('first', false), upstream('second', false), upstream('third', false)]
    const { ask } = poolOf(first, second, third)
    await ask(5_000)
    await ask(1_500)
    expect(first.deadlines).toEqual([2_000, 1_500])
    expect(third.deadlines).toEqual([2_000, 1_500])
  })

  it('nobody is asked after it', async () => {
    const clock = new ManualClock()
    const slow = resolverOf(async () => {
      await clock.sleep(2_000)
      return timeout()
    })
    const pool = createPool([slow, slow, slow, slow], { clock, log: silentLog })
    const asked = pool.resolver.resolve(queryOf(wire, 'udp', 5_000), NEVER)
    await clock.advance(10_000)
    expect(slow.asked).toBe(3)
    expect((await asked).kind).toBe('answer')
  })

  it('nobody is asked for someone who has gone', async () => {
    const first = upstream('first')
    expect(await poolOf(first).ask(5_000, AbortSignal.abort())).toMatchObject({ from: 'pool' })
    expect(first.asked).toBe(0)
  })
})

describe('a question nobody could answer', () => {
  const failureOf = async (error: unknown): Promise<{ rcode: number; errors: unknown }> => {
    const outcome = await poolOf(resolverOf(() => Promise.reject(error))).ask()
    if (outcome.kind !== 'answer') throw new Error('dropped')
    return { rcode: parseMessage(outcome.wire)!.rcode, errors: outcome.extendedErrors }
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
    expect(await poolOf(throwing).ask()).toMatchObject({ from: 'pool' })
  })
})
