import { describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { withDedup } from '../../../src/router/resolve/dedup.ts'
import type { Outcome } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { settle } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../support/query.ts'

const NEVER = new AbortController().signal

/** An upstream that answers, or fails, when the test says so. */
function waitingUpstream() {
  const waiting: { settle: () => void; fail: (error: Error) => void; signal: AbortSignal }[] = []
  const resolver = resolverOf(
    ({ view }, signal) =>
      new Promise<Outcome>((resolve, fail) => {
        waiting.push({
          settle: () => resolve(answerOf(responseWire(view.wire, ['192.0.2.1']), 'up', 'unauthenticated')),
          fail,
          signal,
        })
      }),
  )
  return { resolver, waiting }
}

describe('equal questions', () => {
  it('under way at one time are asked once', async () => {
    const { resolver, waiting } = waitingUpstream()
    const deduped = withDedup()(resolver)
    const askers = ['a.example', 'A.example', 'a.EXAMPLE'].map(async (name) =>
      deduped.resolve(queryOf(queryWire(name)), NEVER),
    )
    expect(resolver.asked).toBe(1)
    waiting[0]!.settle()
    for (const outcome of await Promise.all(askers)) expect(outcome.kind).toBe('answer')
  })

  it('are asked again when the flight is over', async () => {
    const { resolver, waiting } = waitingUpstream()
    const deduped = withDedup()(resolver)
    for (let round = 0; round < 3; round++) {
      const asked = deduped.resolve(queryOf(queryWire('a.example')), NEVER)
      waiting[round]!.settle()
      await asked
    }
    expect(resolver.asked).toBe(3)
  })

  it('share a failure, and are asked again after it', async () => {
    const { resolver, waiting } = waitingUpstream()
    const deduped = withDedup()(resolver)
    const askers = [1, 2, 3].map(async (id) => deduped.resolve(queryOf(queryWire('a.example', TYPE.A, { id })), NEVER))
    const settled = Promise.allSettled(askers)
    waiting[0]!.fail(new Error('no link'))
    expect((await settled).map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    const again = deduped.resolve(queryOf(queryWire('a.example')), NEVER)
    expect(resolver.asked).toBe(2)
    waiting[1]!.settle()
    expect((await again).kind).toBe('answer')
  })

  it('do not end with the one who asked first', async () => {
    const { resolver, waiting } = waitingUpstream()
    const deduped = withDedup()(resolver)
    const first = new AbortController()
    const gone = Promise.resolve(deduped.resolve(queryOf(queryWire('a.example')), first.signal)).catch(() => {})
    const second = deduped.resolve(queryOf(queryWire('a.example')), NEVER)
    first.abort()
    expect(waiting[0]!.signal.aborted).toBe(false)
    waiting[0]!.settle()
    expect((await second).kind).toBe('answer')
    await gone
  })
})

describe('questions that differ', () => {
  it.each([
    ['name', queryWire('b.example')],
    ['type', queryWire('a.example', TYPE.AAAA)],
    ['DO', queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] } })],
    ['CD', queryWire('a.example', TYPE.A, { checkingDisabled: true })],
  ])('in %s are asked each', (_, other) => {
    const { resolver } = waitingUpstream()
    const deduped = withDedup()(resolver)
    void deduped.resolve(queryOf(queryWire('a.example')), NEVER)
    void deduped.resolve(queryOf(other), NEVER)
    expect(resolver.asked).toBe(2)
  })
})

it('an answer that is there at once is handed on at once', () => {
  const answer = answerOf(responseWire(queryWire('a.example'), ['192.0.2.1']), 'up', 'unauthenticated')
  expect(withDedup()(resolverOf(() => answer)).resolve(queryOf(queryWire('a.example')), NEVER)).toBe(answer)
})

it('is bounded: over 4096 flights a question is asked without being remembered', async () => {
  const { resolver } = waitingUpstream()
  const deduped = withDedup()(resolver)
  for (let index = 0; index < 4096; index++) void deduped.resolve(queryOf(queryWire(`host-${index}.example`)), NEVER)
  void deduped.resolve(queryOf(queryWire('one-more.example')), NEVER)
  void deduped.resolve(queryOf(queryWire('one-more.example')), NEVER)
  await settle()
  expect(resolver.asked).toBe(4098)
})

it("a signed question is nobody else's: it is asked each time, with its own signal", () => {
  const tsig = { name: 'key', type: TYPE.TSIG, class: 255, ttl: 0, data: new Uint8Array(26) }
  const { resolver, waiting } = waitingUpstream()
  const deduped = withDedup()(resolver)
  for (let round = 0; round < 2; round++)
    void deduped.resolve(queryOf(queryWire('a.example', TYPE.A, { additionals: [tsig] })), NEVER)
  expect(resolver.asked).toBe(2)
  expect(waiting[0]!.signal).toBe(NEVER)
})
