import { beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { Fault } from '../../../src/core/fault.ts'
import { CLASS, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage } from '../../../src/dns/message.ts'
import type { SvcbParams } from '../../../src/dns/svcb-params.ts'
import { MessageView } from '../../../src/dns/view.ts'
import type { Outcome, Query, Upstream } from '../../../src/router/resolve/resolver.ts'
import { UpgradingUpstream } from '../../../src/router/upstream/upgrade.ts'
import { createUpstream } from '../../../src/router/upstream/upstream.ts'
import { parseUpstreamUrl } from '../../../src/router/upstream/url.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { recordingLog } from '../../support/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryOf, queryWire, responseWire } from '../../support/query.ts'
import { streamServer, udpServer } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

const NEVER = new AbortController().signal
const DESIGNATION = '_dns.resolver.arpa'

/** What a resolver says about itself; `undefined`: nothing. */
function designationWire(query: Uint8Array, params: SvcbParams | undefined, ttl = 600): Uint8Array {
  const data = { priority: 1, target: 'dns.test', params: params ?? {} }
  return buildMessage({
    id: MessageView.over(query)!.id,
    isResponse: true,
    questions: [{ name: DESIGNATION, type: TYPE.SVCB, class: CLASS.IN }],
    answers: params ? [{ name: DESIGNATION, type: TYPE.SVCB, class: CLASS.IN, ttl, data }] : [],
  })
}

/** A plain upstream with or without an encrypted self, on a manual clock. */
function scene(params: SvcbParams | undefined = { alpn: ['dot'], ipv4hint: ['192.0.2.1'] }) {
  const clock = new ManualClock()
  const { log, lines } = recordingLog()
  const plainAsked: string[] = []
  const made: { url: string; addresses: readonly string[]; closed: boolean; asked: string[] }[] = []
  let failure: Fault | undefined
  let says: SvcbParams | undefined = params
  const plain: Upstream = {
    id: 'udp://192.0.2.53',
    resolve: async ({ view }) => {
      plainAsked.push(view.questionName)
      const wire =
        view.questionName === DESIGNATION ? designationWire(view.wire, says) : responseWire(view.wire, ['192.0.2.80'])
      return answerOf(wire, 'plain', 'unauthenticated')
    },
  }
  const encrypted = (url: string, addresses: readonly string[]): Upstream => {
    const self = { url, addresses, closed: false, asked: [] as string[] }
    made.push(self)
    return {
      id: url,
      async resolve({ view, deadlineMs }: Query): Promise<Outcome> {
        self.asked.push(view.questionName)
        const fault = failure
        if (fault?.code === 'UPSTREAM_TIMEOUT') await clock.sleep(deadlineMs - clock.monotonicMs())
        if (fault) throw fault
        return answerOf(responseWire(view.wire, ['192.0.2.80']), 'encrypted', 'authenticated')
      },
      close: () => void (self.closed = true),
    }
  }
  const upstream = new UpgradingUpstream({ plain, address: '192.0.2.53', encrypted, clock, log })
  const ask = async (name = 'a.example'): Promise<string> => {
    const outcome = await upstream.resolve(queryOf(queryWire(name), 'udp', clock.monotonicMs() + 5_000), NEVER)
    return outcome.kind === 'answer' ? outcome.from : outcome.reason
  }
  return {
    clock,
    lines,
    upstream,
    plainAsked,
    made,
    ask,
    fail: (fault: Fault | undefined) => void (failure = fault),
    say: (next: SvcbParams | undefined) => void (says = next),
  }
}

describe('a plain upstream with an encrypted self', () => {
  it('is asked for it before anything else, and then encrypted (RFC 9462 §4)', async () => {
    const { ask, plainAsked, made, lines, upstream } = scene()
    expect(await Promise.all([ask(), ask()])).toEqual(['encrypted', 'encrypted'])
    expect(plainAsked).toEqual([DESIGNATION])
    // The address that was asked is what the certificate has to carry, wherever the target is.
    expect(made).toMatchObject([{ url: 'tls://192.0.2.53:853', addresses: ['192.0.2.1'] }])
    expect(upstream.designated).toBe('tls://192.0.2.53:853 at 192.0.2.1')
    expect(lines).toMatchObject([
      { upstream: 'udp://192.0.2.53', msg: 'upstream is asked encrypted from now on (DDR)' },
    ])
  })

  it('DNS over HTTPS too; addresses that were not given are asked for', async () => {
    const { ask, plainAsked, made } = scene({ alpn: ['h2'], dohpath: '/dns-query{?dns}' })
    expect(await ask()).toBe('encrypted')
    expect(plainAsked).toEqual([DESIGNATION, 'dns.test', 'dns.test'])
    expect(made[0]).toMatchObject({ url: 'https://192.0.2.53:443/dns-query', addresses: ['192.0.2.80', '192.0.2.80'] })
  })

  it('is asked again when the TTL is over, and follows', async () => {
    const { ask, clock, made, say, plainAsked } = scene()
    await ask()
    await clock.advance(599_000)
    await ask()
    expect(plainAsked).toEqual([DESIGNATION])
    say({ alpn: ['dot'], port: 8853, ipv4hint: ['192.0.2.1'] })
    await clock.advance(1_000)
    expect(await ask()).toBe('encrypted')
    await clock.advance(0)
    expect(made.map(({ url, closed }) => [url, closed])).toEqual([
      ['tls://192.0.2.53:853', true],
      ['tls://192.0.2.53:8853', false],
    ])
  })

  it('is plain again when that self is lost, at once and for five minutes; it is said once', async () => {
    const { ask, clock, fail, lines } = scene()
    await ask()
    fail(new Fault('UPSTREAM_UNREACHABLE', 'refused'))
    expect(await ask()).toBe('plain')
    for (let index = 0; index < 5; index++) expect(await ask()).toBe('plain')
    await clock.advance(300_000)
    expect(await ask()).toBe('plain') // looks again, in vain
    await clock.advance(300_000)
    fail(undefined)
    await ask()
    await clock.advance(0)
    expect(await ask()).toBe('encrypted')
    expect(lines.map(({ msg }) => msg)).toEqual([
      'upstream is asked encrypted from now on (DDR)',
      'upstream is plain again: its encrypted self stopped answering',
      'upstream is asked encrypted from now on (DDR)',
    ])
  })

  it.each([
    ['stays if it answers another question: the name may be slow', true],
    ['is given up if it answers no other question either', false],
  ])('a question without an answer in time is asked plain; the encrypted self %s', async (_, isThere) => {
    const { ask, clock, fail, upstream, made } = scene()
    await ask()
    fail(new Fault('UPSTREAM_TIMEOUT', 'silent'))
    const answer = ask()
    await clock.advance(1_999)
    if (isThere) fail(undefined)
    await clock.advance(1)
    expect(await answer).toBe('plain')
    await clock.advance(10_000)
    expect(upstream.designated !== undefined).toBe(isThere)
    expect(made[0]!.closed).toBe(!isThere)
  })

  it('forgets it with a reset: another network may have another resolver at this address', async () => {
    const { ask, upstream, made, say, clock } = scene()
    await ask()
    say(undefined)
    upstream.reset()
    expect(made[0]!.closed).toBe(true)
    expect(await ask()).toBe('plain')
    await clock.advance(0)
    expect(upstream.designated).toBeUndefined()
  })
})

describe('a plain upstream without one', () => {
  it('stays plain, says so once, and is asked again after five minutes', async () => {
    const world = scene()
    world.say(undefined)
    const { ask, clock, lines, plainAsked } = world
    for (let index = 0; index < 3; index++) expect(await ask()).toBe('plain')
    await clock.advance(300_000)
    await ask()
    expect(plainAsked.filter((name) => name === DESIGNATION)).toHaveLength(2)
    expect(lines).toMatchObject([
      { msg: 'upstream stays plain', reason: 'udp://192.0.2.53 names no encrypted resolver that we could use' },
    ])
  })

  it('questions do not wait longer than a second to find out', async () => {
    const clock = new ManualClock()
    const silentLook: Upstream = {
      id: 'udp://192.0.2.53',
      resolve: async ({ view, deadlineMs }) => {
        if (view.questionName !== DESIGNATION) return answerOf(responseWire(view.wire, []), 'plain', 'unauthenticated')
        await clock.sleep(deadlineMs - clock.monotonicMs())
        throw new Fault('UPSTREAM_TIMEOUT', 'silent')
      },
    }
    const upstream = new UpgradingUpstream({
      plain: silentLook,
      address: '192.0.2.53',
      encrypted: () => silentLook,
      clock,
      log: recordingLog().log,
    })
    let doneMs: number | undefined
    const asking = async (): Promise<void> => {
      await upstream.resolve(queryOf(queryWire('a.example'), 'udp', 5_000), NEVER)
      doneMs = clock.monotonicMs()
    }
    void asking()
    await clock.advance(10_000)
    expect(doneMs).toBe(1_000)
  })
})

describe('over real connections', () => {
  let authority: TestAuthority
  beforeAll(async () => {
    authority = await TestAuthority.create()
  })

  /** A resolver on loopback whose encrypted self shows a certificate for `certified`. */
  const resolverWith = async (certified: { dnsNames?: string[]; ipAddresses?: string[] }) => {
    const dot = await streamServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1'])), {
      material: await authority.material(certified),
    })
    const plain = await udpServer((wire, reply) =>
      reply(
        MessageView.over(wire)!.questionName === DESIGNATION
          ? designationWire(wire, { alpn: ['dot'], port: dot.endpoint.port, ipv4hint: ['127.0.0.1'] })
          : responseWire(wire, ['192.0.2.1']),
      ),
    )
    const { log, lines } = recordingLog()
    const trust = [authority.rootPem]
    const upstream = new UpgradingUpstream({
      plain: createUpstream(parseUpstreamUrl(`udp://127.0.0.1:${plain.endpoint.port}`)),
      address: '127.0.0.1',
      encrypted: (url, addresses) => createUpstream(parseUpstreamUrl(url, addresses), { trust }),
      clock: systemClock,
      log,
    })
    const outcome = await upstream.resolve(queryOf(queryWire('a.example')), NEVER)
    return { from: outcome.kind === 'answer' ? outcome.from : '', lines, plain, dot }
  }

  it('DDR-6: a certificate for the address that was asked is what counts', async () => {
    const { from, dot, plain } = await resolverWith({ dnsNames: ['dns.test'], ipAddresses: ['127.0.0.1'] })
    expect(from).toBe(`tls://127.0.0.1:${dot.endpoint.port}`)
    expect(plain.received).toHaveLength(1)
  })

  it('DDR-6: a designation whose certificate lacks that address is refused, and told once', async () => {
    const { from, dot, lines } = await resolverWith({ dnsNames: ['dns.test'], ipAddresses: ['127.0.0.2'] })
    expect(from).toMatch(/^udp:/)
    expect(dot.received).toEqual([])
    expect(lines).toMatchObject([{ code: 'UPSTREAM_UNTRUSTED', msg: 'upstream stays plain' }])
  })
})
