import { describe, expect, it } from 'vitest'
import { CLASS, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../src/dns/message.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { withoutUnaskedDnssec } from '../../../src/router/resolve/dnssec-records.ts'
import type { Answer, Outcome } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

const NAME = 'a.example'
const signature = Uint8Array.from([0, 1, 13, 2, ...new Uint8Array(14), 0, 1])
const signed = answerOf(
  buildMessage({
    isResponse: true,
    authenticData: true,
    questions: [{ name: NAME, type: TYPE.A, class: CLASS.IN }],
    answers: [
      { name: NAME, type: TYPE.A, class: CLASS.IN, ttl: 300, data: { address: '192.0.2.1' } },
      { name: NAME, type: TYPE.RRSIG, class: CLASS.IN, ttl: 200, data: signature },
    ],
  }),
  'up',
  'authenticated',
)

const ask = (dnssecOk: boolean, resolve: () => Outcome | Promise<Outcome>): Outcome | Promise<Outcome> =>
  withoutUnaskedDnssec()(resolverOf(resolve)).resolve(
    queryOf(queryWire(NAME, TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk, options: [] } })),
    AbortSignal.timeout(1_000),
  )

describe('an answer that was signed unasked', () => {
  it.each([
    ['at once', () => signed],
    ['later', async () => signed],
  ] as const)('loses its signatures for a client without DO, %s', async (_, resolve) => {
    const answer = (await ask(false, resolve)) as Answer
    expect(parseMessage(answer.wire)?.answers.map(({ type }) => type)).toEqual([TYPE.A])
    // What the cache goes by tells of the same bytes.
    expect(answer.prepared).toMatchObject({ answerCount: 1, minTtlS: 300, ttlOffsets: [expect.any(Number)] })
    expect(answer.prepared!.wire).toBe(answer.wire)
    expect([answer.from, MessageView.over(answer.wire)!.authenticData]).toEqual(['up', true])
  })

  it('is untouched for a client with DO, and so are outcomes that are none', async () => {
    expect(ask(true, () => signed)).toBe(signed)
    const drop = { kind: 'drop', reason: 'rate-limit' } as const
    expect(ask(false, () => drop)).toBe(drop)
  })

  it('one that was not signed is passed on as it is', () => {
    const plain = answerOf(
      buildMessage({ isResponse: true, questions: [{ name: NAME, type: TYPE.A, class: CLASS.IN }] }),
      'up',
      'unauthenticated',
    )
    expect(ask(false, () => plain)).toBe(plain)
  })
})
