import { describe, expect, it } from 'vitest'
import { CLASS, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import type { MessageView } from '../../../src/dns/view.ts'
import { withCache } from '../../../src/router/resolve/cache.ts'
import { chainOf } from '../../../src/router/resolve/chain.ts'
import { ownExemptions, withRebindingFilter } from '../../../src/router/resolve/rebinding.ts'
import type { Answer, Resolver } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire, resolverOf } from '../../support/query.ts'

const NEVER = new AbortController().signal
const a = (name: string, address: string) => ({ name, type: TYPE.A, class: CLASS.IN, ttl: 300, data: { address } })

function upstream(fields: (view: MessageView) => Partial<Message>): Resolver & { asked: number } {
  return resolverOf(async ({ view }) => {
    const questions = [{ name: view.questionName, type: view.questionType, class: view.questionClass }]
    const wire = buildMessage({ isResponse: true, recursionAvailable: true, questions, ...fields(view) })
    return answerOf(wire, 'up', 'authenticated')
  })
}
const answering = (address: string) => upstream((view) => ({ answers: [a(view.questionName, address)] }))

async function ask(resolver: Resolver, name: string): Promise<Answer & { message: Message }> {
  const outcome = await resolver.resolve(queryOf(queryWire(name)), NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return { ...outcome, message: parseMessage(outcome.wire)! }
}

function filterOver(inside: Resolver, exempt: readonly string[] = [], loopbackAllowed = false) {
  const filter = withRebindingFilter({ exempt, loopbackAllowed })
  return { filter, resolver: filter.layer(inside) }
}

describe('SEC-2: an answer with a private address', () => {
  it('becomes NODATA with extended error 17, to be kept for a minute', async () => {
    const { filter, resolver } = filterOver(answering('192.168.1.1'))
    const { message, extendedErrors, freshS, from } = await ask(resolver, 'Evil.example')
    expect(message).toMatchObject({
      id: 0x1234,
      rcode: RCODE.NOERROR,
      recursionAvailable: true,
      authoritative: false,
      questions: [{ name: 'Evil.example' }],
      answers: [],
      additionals: [],
      authorities: [{ name: 'Evil.example', type: TYPE.SOA, ttl: 60, data: { minimum: 60 } }],
    })
    expect(extendedErrors).toMatchObject([{ code: 17 }])
    expect([freshS, from, filter.withheld]).toEqual([60, 'rebinding', 1])
  })

  it('is withheld whole, whatever else is in it', async () => {
    const inside = upstream(({ questionName }) => ({
      answers: [a(questionName, '192.0.2.1'), a(questionName, '10.0.0.1')],
    }))
    expect((await ask(filterOver(inside).resolver, 'evil.example')).message.answers).toEqual([])
  })

  it('in the additional section costs that section alone', async () => {
    const inside = upstream(({ questionName }) => ({
      authenticData: true,
      answers: [a(questionName, '192.0.2.1')],
      additionals: [a('other.example', '10.0.0.1')],
    }))
    const { message, prepared, wire } = await ask(filterOver(inside).resolver, 'mx.example')
    expect(message).toMatchObject({
      authenticData: true,
      answers: [{ data: { address: '192.0.2.1' } }],
      additionals: [],
    })
    expect(prepared?.wire).toBe(wire)
  })

  it('is cached as withheld: a hit does not come here', async () => {
    const inside = answering('192.168.1.1')
    const filter = withRebindingFilter({ exempt: [], loopbackAllowed: false })
    const clock = new ManualClock()
    const chain = chainOf([withCache({ bytesMax: 1 << 20, clock }).layer, filter.layer], inside)
    await ask(chain, 'evil.example')
    const { message, from, extendedErrors } = await ask(chain, 'EVIL.example')
    expect([message.answers, from]).toEqual([[], 'cache'])
    expect(extendedErrors).toMatchObject([{ code: 17 }])
    expect([inside.asked, filter.withheld]).toEqual([1, 1])
  })
})

describe('what is let through', () => {
  it('public addresses, as the same object', async () => {
    const given = answerOf(
      buildMessage({
        isResponse: true,
        questions: [{ name: 'a.example', type: TYPE.A, class: CLASS.IN }],
        answers: [a('a.example', '192.0.2.1')],
      }),
      'up',
      'unauthenticated',
    )
    const { resolver } = filterOver(resolverOf(() => given))
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toBe(given)
  })

  it('a drop', () => {
    const { resolver } = filterOver(resolverOf(() => ({ kind: 'drop', reason: 'malformed' })))
    expect(resolver.resolve(queryOf(queryWire('a.example')), NEVER)).toEqual({ kind: 'drop', reason: 'malformed' })
  })

  it.each(['plex.direct', '192-168-1-5.abc.PLEX.direct', 'ipv4only.arpa'])('%s, exempt', async (name) => {
    const { resolver, filter } = filterOver(answering('192.168.1.5'), ['plex.direct'])
    expect((await ask(resolver, name)).message.answers).toHaveLength(1)
    expect(filter.withheld).toBe(0)
  })

  it.each(['xplex.direct', 'direct', 'plex.direct.evil.example'])('not %s, which only looks like it', async (name) => {
    const { resolver } = filterOver(answering('192.168.1.5'), ['plex.direct'])
    expect((await ask(resolver, name)).message.answers).toEqual([])
  })

  it('not an alias that leads to an exempt name: the asked name is whose page it is', async () => {
    const inside = upstream(({ questionName }) => ({
      answers: [
        { name: questionName, type: TYPE.CNAME, class: CLASS.IN, ttl: 60, data: { host: 'x.plex.direct' } },
        a('x.plex.direct', '192.168.1.5'),
      ],
    }))
    expect((await ask(filterOver(inside, ['plex.direct']).resolver, 'evil.example')).message.answers).toEqual([])
  })

  it('127/8 for lists of mail senders, when that is set', async () => {
    expect((await ask(filterOver(answering('127.0.0.2')).resolver, '2.zen.example')).message.answers).toEqual([])
    const { resolver } = filterOver(answering('127.0.0.2'), [], true)
    expect((await ask(resolver, '2.zen.example')).message.answers).toHaveLength(1)
  })
})

describe('SEC-2: the router itself', () => {
  it('keeps its own name and its operator zone', async () => {
    const { resolver } = filterOver(answering('192.168.1.1'), ownExemptions('cpe-7f3a.example.net'))
    for (const name of ['cpe-7f3a.example.net', 'cpe-0001.example.net', 'example.net'])
      expect((await ask(resolver, name)).message.answers, name).toHaveLength(1)
    expect((await ask(resolver, 'cpe-7f3a.example.org')).message.answers).toEqual([])
  })

  it('does not take a top-level domain for its operator zone', () => {
    expect(ownExemptions('cpe.example')).toEqual(['cpe.example'])
  })
})

it('explain says which exemption holds', () => {
  const { explain } = withRebindingFilter({ exempt: ['plex.direct'], loopbackAllowed: false })
  expect(explain({ name: 'a.plex.direct', type: TYPE.A }, '::1')?.says).toContain('at or below plex.direct')
  expect(explain({ name: 'a.example', type: TYPE.A }, '::1')).toMatchObject({ layer: 'rebinding', decides: false })
})
