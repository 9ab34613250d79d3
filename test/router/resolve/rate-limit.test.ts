import { describe, expect, it } from 'vitest'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { ANSWER_MS_MAX } from '../../../src/router/listen/listener.ts'
import { writeReply } from '../../../src/router/listen/reply.ts'
import { type RateLimitOptions, withRateLimit } from '../../../src/router/resolve/rate-limit.ts'
import type { Answer, Outcome, Resolver, Transport } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../support/query.ts'

const NEVER = new AbortController().signal
const wire = queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] } })

function limited(options: Partial<RateLimitOptions> = {}, inside?: Resolver) {
  const clock = new ManualClock()
  const limit = withRateLimit({ perSecond: 10, burst: 4, openMax: 3, exempt: ['127.0.0.0/8'], ...options }, { clock })
  const answering = resolverOf(({ view }) => answerOf(responseWire(view.wire, ['192.0.2.1']), 'in', 'unauthenticated'))
  const resolver = limit.layer(inside ?? answering)
  const ask = (transport: Transport = 'udp', address = '192.168.1.7'): Outcome | Promise<Outcome> =>
    resolver.resolve(
      { ...queryOf(wire, transport, clock.monotonicMs() + ANSWER_MS_MAX), client: { address, transport } },
      NEVER,
    )
  const askMany = (count: number, transport?: Transport, address?: string) =>
    Array.from({ length: count }, () => ask(transport, address) as Outcome)
  return { clock, limit, ask, askMany }
}
const answersOf = (outcomes: readonly Outcome[]): readonly Answer[] =>
  outcomes.filter((outcome): outcome is Answer => outcome.kind === 'answer')

describe('within the limit', () => {
  it('the answer from inside comes back in the same tick', () => {
    const { ask, limit } = limited()
    expect(ask()).toMatchObject({ kind: 'answer', from: 'in' })
    expect(limit.refused).toBe(0)
  })

  it('clients that are not counted may ask for ever', () => {
    const { askMany } = limited()
    expect(answersOf(askMany(1000, 'udp', '127.0.0.1')).every(({ from }) => from === 'in')).toBe(true)
  })

  it('tokens come back with the monotonic clock, not with the wall clock', async () => {
    const { clock, askMany } = limited()
    askMany(4)
    clock.step(3_600_000)
    expect(askMany(2).map(({ kind }) => kind)).toEqual(['drop', 'answer'])
    await clock.advance(300)
    expect(answersOf(askMany(4)).filter(({ from }) => from === 'in')).toHaveLength(3)
  })
})

describe('over the limit', () => {
  it('UDP: one half gets nothing, the other an empty answer with TC that is no longer than the question', () => {
    const { askMany, limit } = limited()
    askMany(4)
    const over = askMany(10)
    expect(over.filter((outcome) => outcome.kind === 'drop' && outcome.reason === 'rate-limit')).toHaveLength(5)
    expect(answersOf(over)).toHaveLength(5)
    for (const answer of answersOf(over)) {
      const reply = new Uint8Array(512)
      const length = writeReply(reply, 0, queryOf(wire), answer)
      expect(parseMessage(reply.subarray(0, length))).toMatchObject({
        id: 0x1234,
        truncated: true,
        rcode: RCODE.NOERROR,
        answers: [],
      })
      expect(length).toBeLessThanOrEqual(wire.length)
    }
    expect(limit.refused).toBe(10)
  })

  it.each(['tcp', 'dot'] as const)('%s: REFUSED with an extended error', (transport) => {
    const { askMany } = limited()
    const [refusal] = answersOf(askMany(5, transport).slice(4))
    expect(parseMessage(refusal!.wire)).toMatchObject({ rcode: RCODE.REFUSED, answers: [] })
    expect(refusal).toMatchObject({ from: 'rate-limit', extendedErrors: [{ code: 0, text: 'rate limit' }] })
    expect(refusal!.freshS).toBeUndefined()
  })

  it('DoH: a drop, for which its listener has a status', () => {
    const { askMany } = limited()
    expect(askMany(5, 'doh')[4]).toEqual({ kind: 'drop', reason: 'rate-limit' })
  })

  it('a client whose address is forged on UDP still gets its answers by TCP', () => {
    const { askMany } = limited()
    askMany(1000, 'udp')
    expect(answersOf(askMany(4, 'tcp')).map(({ from }) => from)).toEqual(['in', 'in', 'in', 'in'])
  })

  it('others are not touched', () => {
    const { askMany } = limited()
    askMany(1000)
    expect(answersOf(askMany(4, 'udp', '192.168.1.8')).map(({ from }) => from)).toEqual(['in', 'in', 'in', 'in'])
  })
})

describe('open questions', () => {
  function waiting() {
    const settle: ((outcome: Outcome | Error) => void)[] = []
    const inside = resolverOf(
      () =>
        new Promise<Outcome>((resolve, reject) => {
          settle.push((outcome) => (outcome instanceof Error ? reject(outcome) : resolve(outcome)))
        }),
    )
    return { settle, ...limited({ burst: 1000, perSecond: 1000 }, inside) }
  }
  const done: Outcome = { kind: 'drop', reason: 'malformed' }

  it('are bounded per client: one cannot fill the bound of all', async () => {
    const { settle, ask } = waiting()
    const open = [ask('tcp'), ask('tcp'), ask('tcp')]
    expect(ask('tcp')).toMatchObject({ extendedErrors: [{ code: 0, text: 'too many open questions' }] })
    expect(ask('tcp', '192.168.1.8')).toBeInstanceOf(Promise)
    settle[0]!(done)
    expect(await open[0]).toEqual(done)
    expect(ask('tcp')).toBeInstanceOf(Promise)
  })

  it('are given back when the chain fails too', async () => {
    const { settle, ask } = waiting()
    const open = [ask('tcp'), ask('tcp'), ask('tcp')]
    settle[1]!(new Error('a bug'))
    await expect(open[1]).rejects.toThrow('a bug')
    expect(ask('tcp')).toBeInstanceOf(Promise)
  })
})

it('explain says how a client stands, and takes no token', () => {
  const { limit, askMany } = limited()
  const explain = (client: string) => limit.explain({ name: 'a.example', type: TYPE.A }, client)
  expect(explain('127.0.0.1')?.says).toBe('127.0.0.1 is not counted')
  for (let look = 0; look < 10; look++) expect(explain('192.168.1.7')?.decides).toBe(false)
  askMany(5)
  expect(explain('192.168.1.7')).toMatchObject({ layer: 'rate-limit', decides: true })
})
