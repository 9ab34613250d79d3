import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import { RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage } from '../../../src/dns/message.ts'
import type { Query } from '../../../src/router/resolve/resolver.ts'
import { bootstrapEndpoints } from '../../../src/router/upstream/bootstrap.ts'
import { resolverOf } from '../../support/query.ts'

const NAME = 'dns.example'
type Known = Readonly<Record<number, readonly string[]>>

/** A plain resolver that knows these addresses; undefined: it does not answer. */
function resolverKnowing(known: () => Known | undefined, ttl = 300) {
  return resolverOf(({ view }: Query) => {
    const addresses = known()
    if (!addresses) throw new Fault('UPSTREAM_UNREACHABLE', 'no route')
    const question = { name: view.questionName, type: view.questionType, class: 1 }
    const alias = { name: NAME, type: TYPE.CNAME, class: 1, ttl, data: { host: 'host.example' } }
    const found = (addresses[view.questionType] ?? []).map((address) => ({
      name: 'host.example',
      type: view.questionType,
      class: 1,
      ttl,
      data: { address },
    }))
    const answers = found.length > 0 ? [alias, ...found] : []
    return { kind: 'answer', wire: buildMessage({ isResponse: true, questions: [question], answers }), from: 'test' }
  })
}

const BOTH: Known = { [TYPE.A]: ['192.0.2.1'], [TYPE.AAAA]: ['2001:db8::1'] }

describe('bootstrapEndpoints', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] }))
  afterEach(() => void vi.useRealTimers())

  it('asks for both families, behind an alias, and keeps what it found', async () => {
    const resolver = resolverKnowing(() => BOTH)
    const endpoints = bootstrapEndpoints(NAME, 853, [resolver])
    const found = await endpoints.find()
    expect(found).toHaveLength(2)
    expect(found).toEqual(
      expect.arrayContaining([
        { host: '2001:db8::1', port: 853 },
        { host: '192.0.2.1', port: 853 },
      ]),
    )
    expect(await endpoints.find()).toEqual(found)
    expect(resolver.asked).toBe(2)
  })

  it('one family is enough', async () => {
    const endpoints = bootstrapEndpoints(NAME, 853, [resolverKnowing(() => ({ [TYPE.A]: ['192.0.2.1'] }))])
    expect(await endpoints.find()).toEqual([{ host: '192.0.2.1', port: 853 }])
  })

  it('does not wait for the other family longer than 50 ms (RFC 8305 section 3)', async () => {
    const half = resolverKnowing(() => BOTH)
    const slow = resolverOf((query, signal) =>
      query.view.questionType === TYPE.A ? half.resolve(query, signal) : new Promise(() => {}),
    )
    const found = bootstrapEndpoints(NAME, 853, [slow]).find()
    await vi.advanceTimersByTimeAsync(50)
    expect(await found).toEqual([{ host: '192.0.2.1', port: 853 }])
  })

  it('the next resolver is asked when one fails, or knows nothing', async () => {
    const resolvers = [resolverKnowing(() => undefined), resolverKnowing(() => ({})), resolverKnowing(() => BOTH)]
    expect(await bootstrapEndpoints(NAME, 853, resolvers).find()).toHaveLength(2)
    expect(resolvers.map(({ asked }) => asked)).toEqual([2, 2, 2])
  })

  it('an old address stays in use, while a new one is looked up beside', async () => {
    let known: Known | undefined = BOTH
    const resolver = resolverKnowing(() => known, 60)
    const endpoints = bootstrapEndpoints(NAME, 853, [resolver])
    const first = await endpoints.find()
    await vi.advanceTimersByTimeAsync(61_000)
    known = undefined
    expect(endpoints.find()).toEqual(first)
    await vi.advanceTimersByTimeAsync(3_600_000)
    known = { [TYPE.A]: ['192.0.2.9'] }
    expect(endpoints.find()).toEqual(first)
    await vi.advanceTimersByTimeAsync(60)
    expect(await endpoints.find()).toEqual([{ host: '192.0.2.9', port: 853 }])
  })

  it('a failed lookup is tried again after a pause that grows to 4 s, and at once after a reset', async () => {
    const resolver = resolverKnowing(() => undefined)
    const endpoints = bootstrapEndpoints(NAME, 853, [resolver])
    const refused = async (): Promise<void> =>
      expect(endpoints.find()).rejects.toMatchObject({
        code: 'UPSTREAM_UNREACHABLE',
        message: `no bootstrap resolver gave an address of ${NAME}`,
      })
    const lookups = (): number => resolver.asked / 2
    await refused()
    await refused()
    expect(lookups()).toBe(1)
    for (const [pauseMs, count] of [
      [500, 2],
      [1_000, 3],
      [2_000, 4],
      [4_000, 5],
      [4_000, 6],
    ] as const) {
      await vi.advanceTimersByTimeAsync(pauseMs - 1)
      await refused()
      expect(lookups()).toBe(count - 1)
      await vi.advanceTimersByTimeAsync(1)
      await refused()
      expect(lookups()).toBe(count)
    }
    endpoints.reset?.()
    await refused()
    expect(lookups()).toBe(7)
  })

  it('questions at the same time share one lookup', async () => {
    const resolver = resolverKnowing(() => BOTH)
    const endpoints = bootstrapEndpoints(NAME, 853, [resolver])
    await Promise.all([endpoints.find(), endpoints.find(), endpoints.find()])
    expect(resolver.asked).toBe(2)
  })

  it('an error rcode is no answer', async () => {
    const refusing = resolverOf(({ view }) => ({
      kind: 'answer',
      wire: buildMessage({
        isResponse: true,
        rcode: RCODE.SERVFAIL,
        questions: [{ name: view.questionName, type: view.questionType, class: 1 }],
      }),
      from: 'test',
    }))
    await expect(bootstrapEndpoints(NAME, 853, [refusing]).find()).rejects.toMatchObject({
      code: 'UPSTREAM_UNREACHABLE',
    })
  })
})
