import { describe, expect, it } from 'vitest'
import { CLASS, RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { buildMessage, parseMessage } from '../../../../src/dns/message.ts'
import type { Answer, Outcome } from '../../../../src/router/resolve/resolver.ts'
import { localOver, PLAIN_PRESENCE, textsOf, zoneOf } from '../../../support/local.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../../support/query.ts'

const over = (text: string, fallthrough = false, more: Parameters<typeof localOver>[1] = {}) =>
  localOver(PLAIN_PRESENCE, { zones: [zoneOf('home.example', text, fallthrough)], ...more })

describe('a zone of the settings', () => {
  const TEXT = `nas 60 A 192.168.1.10
nas A 192.168.1.11
nas MX 10 mail
a.b.c A 192.168.1.20
_http._tcp SRV 0 0 80 nas
x TYPE65280 \\# 3 010203`

  it('answers with AA what it has, in the letter case asked, of every type', async () => {
    const { ask, resolve, upstream } = await over(TEXT)
    expect(ask('NAS.home.example')).toMatchObject({ authoritative: true, rcode: RCODE.NOERROR })
    expect(textsOf(ask('NAS.home.example')?.answers)).toEqual([
      'NAS.home.example. 60 IN A 192.168.1.10',
      'NAS.home.example. 300 IN A 192.168.1.11',
    ])
    expect(resolve(queryWire('nas.home.example'))).toMatchObject({ freshS: 60, from: 'local' })
    expect(textsOf(ask('_http._tcp.home.example', TYPE.SRV)?.answers)).toEqual([
      '_http._tcp.home.example. 300 IN SRV 0 0 80 nas.home.example.',
    ])
    expect(textsOf(ask('x.home.example', 65_280)?.answers)).toEqual([
      String.raw`x.home.example. 300 IN TYPE65280 \# 3 010203`,
    ])
    expect(upstream.asked).toBe(0)
  })

  it('has no record twice (RFC 2181 §5)', async () => {
    const { ask } = await over('a A 192.168.1.10\na 60 A 192.168.1.10\na TXT x')
    expect(ask('a.home.example')?.answers).toHaveLength(1)
  })

  it('ANY gets one set (RFC 8482)', async () => {
    const { ask } = await over(TEXT)
    expect(ask('nas.home.example', TYPE.ANY)?.answers.map(({ type }) => type)).toEqual([TYPE.A, TYPE.A])
  })

  it('says NODATA for other types and for names between, NXDOMAIN for the rest (RFC 8020)', async () => {
    const { ask, upstream } = await over(TEXT)
    const negative = { answers: [], authorities: [{ name: 'home.example', type: TYPE.SOA, ttl: 60 }] }
    for (const [name, type] of [
      ['nas.home.example', TYPE.AAAA],
      ['b.c.home.example', TYPE.A],
      ['c.home.example', TYPE.A],
      ['_tcp.home.example', TYPE.ANY],
      ['home.example', TYPE.A],
    ] as const)
      expect(ask(name, type)).toMatchObject({ rcode: RCODE.NOERROR, ...negative })
    for (const name of ['x.nas.home.example', 'd.c.home.example', 'y.home.example'])
      expect(ask(name)).toMatchObject({ rcode: RCODE.NXDOMAIN, ...negative })
    expect(upstream.asked).toBe(0)
  })

  it('has an SOA and NS of ours unless it has its own, whose minimum counts (RFC 2308 §3)', async () => {
    const ours = await over('nas A 192.168.1.10')
    expect(ours.ask('home.example', TYPE.SOA)?.answers).toMatchObject([{ data: { mailbox: 'nobody.invalid' } }])
    expect(textsOf(ours.ask('home.example', TYPE.NS)?.answers)).toEqual(['home.example. 10800 IN NS home.example.'])
    const own = await over('@ 900 SOA ns admin 5 1h 20m 1w 120\n@ NS ns\nnas A 192.168.1.10')
    expect(own.ask('home.example', TYPE.SOA)?.answers).toMatchObject([{ ttl: 900, data: { serial: 5 } }])
    expect(textsOf(own.ask('home.example', TYPE.NS)?.answers)).toEqual(['home.example. 300 IN NS ns.home.example.'])
    expect(own.ask('y.home.example')?.authorities).toMatchObject([{ ttl: 120, data: { serial: 5 } }])
  })

  it('comes before special names and goes below them', async () => {
    const { ask, upstream } = await localOver(PLAIN_PRESENCE, {
      zones: [
        zoneOf('internal', 'git A 10.0.0.1'),
        zoneOf('lab.test', 'www A 10.0.0.2'),
        zoneOf('1.168.192.in-addr.arpa', '7 PTR seven.internal.'),
      ],
    })
    expect(ask('git.internal')?.answers).toHaveLength(1)
    expect(ask('internal', TYPE.SOA)?.answers).toHaveLength(1)
    expect(ask('www.lab.test')?.answers).toHaveLength(1)
    expect(ask('other.test')).toMatchObject({ rcode: RCODE.NXDOMAIN, authorities: [{ name: 'test' }] })
    expect(ask('7.1.168.192.in-addr.arpa', TYPE.PTR)?.answers).toHaveLength(1)
    expect(upstream.asked).toBe(0)
  })

  it('cannot take our own name away', async () => {
    const { ask } = await localOver(PLAIN_PRESENCE, {
      zones: [zoneOf('example.net', 'cpe-7f3a A 6.6.6.6\nx A 6.6.6.7')],
    })
    expect(textsOf(ask(PLAIN_PRESENCE.name)?.answers)).toEqual([`${PLAIN_PRESENCE.name}. 300 IN A 192.168.1.1`])
    expect(ask('x.example.net')?.answers).toHaveLength(1)
  })
})

describe('wildcards (RFC 4592)', () => {
  // The zone of RFC 4592 §2.2.1, less its delegation.
  const TEXT = `*.wild 3600 TXT "this is a wildcard"
*.wild 3600 MX 10 host1.wild
sub.*.wild 3600 TXT "this is not a wildcard"
host1.wild 3600 A 192.0.2.1
_ssh._tcp.host1.wild 3600 SRV 0 0 22 host1.wild
*.alias CNAME host1.wild`

  it('stand for names that are not there, under the asked name', async () => {
    const { ask } = await over(TEXT)
    expect(textsOf(ask('host3.wild.home.example', TYPE.MX)?.answers)).toEqual([
      'host3.wild.home.example. 3600 IN MX 10 host1.wild.home.example.',
    ])
    expect(ask('host3.wild.home.example')).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(textsOf(ask('foo.bar.wild.home.example', TYPE.TXT)?.answers)).toEqual([
      'foo.bar.wild.home.example. 3600 IN TXT "this is a wildcard"',
    ])
  })

  it('do not stand for names that are there, nor for those below them', async () => {
    const { ask } = await over(TEXT)
    expect(ask('host1.wild.home.example', TYPE.MX)).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(ask('sub.*.wild.home.example', TYPE.MX)).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(ask('_telnet._tcp.host1.wild.home.example', TYPE.SRV)).toMatchObject({ rcode: RCODE.NXDOMAIN })
    expect(ask('ghost.*.wild.home.example', TYPE.MX)).toMatchObject({ rcode: RCODE.NXDOMAIN })
    expect(ask('_tcp.host1.wild.home.example', TYPE.TXT)).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(textsOf(ask('*.wild.home.example', TYPE.TXT)?.answers)).toHaveLength(1)
  })

  it('may be aliases', async () => {
    const { ask } = await over(TEXT)
    expect(textsOf(ask('any.alias.home.example')?.answers)).toEqual([
      'any.alias.home.example. 300 IN CNAME host1.wild.home.example.',
      'host1.wild.home.example. 3600 IN A 192.0.2.1',
    ])
  })
})

describe('aliases', () => {
  it('are followed through our names; the last one has the verdict', async () => {
    const { ask, upstream } = await over('www CNAME web\nweb CNAME nas\nnas A 192.168.1.10\ngone CNAME nowhere')
    expect(ask('www.home.example')?.answers.map(({ name }) => name)).toEqual([
      'www.home.example',
      'web.home.example',
      'nas.home.example',
    ])
    expect(ask('www.home.example', TYPE.AAAA)).toMatchObject({
      rcode: RCODE.NOERROR,
      answers: [{}, {}],
      authorities: [{ type: TYPE.SOA }],
    })
    expect(ask('gone.home.example')).toMatchObject({ rcode: RCODE.NXDOMAIN, answers: [{ type: TYPE.CNAME }] })
    expect(ask('www.home.example', TYPE.CNAME)?.answers).toHaveLength(1)
    expect(ask('www.home.example', TYPE.ANY)?.answers).toHaveLength(1)
    expect(upstream.asked).toBe(0)
  })

  it('lead to our own name and to special names too', async () => {
    const { ask, upstream } = await over(`router CNAME ${PLAIN_PRESENCE.name}.\nlo CNAME localhost.`)
    expect(textsOf(ask('router.home.example')?.answers)[1]).toBe(`${PLAIN_PRESENCE.name}. 300 IN A 192.168.1.1`)
    expect(textsOf(ask('lo.home.example')?.answers)[1]).toBe('localhost. 10800 IN A 127.0.0.1')
    expect(upstream.asked).toBe(0)
  })

  it('in a circle are a failure', async () => {
    const { ask } = await over('a CNAME b\nb CNAME a')
    expect(ask('a.home.example')).toMatchObject({ rcode: RCODE.SERVFAIL, answers: [] })
  })

  it('DNAME renames all names below it (RFC 6672)', async () => {
    const { ask } = await over(`old DNAME new\nx.new A 192.168.1.30\nlong DNAME ${'a.'.repeat(100)}new`)
    expect(textsOf(ask('x.old.home.example')?.answers)).toEqual([
      'old.home.example. 300 IN DNAME new.home.example.',
      'x.old.home.example. 300 IN CNAME x.new.home.example.',
      'x.new.home.example. 300 IN A 192.168.1.30',
    ])
    expect(ask('old.home.example')).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(ask('old.home.example', TYPE.DNAME)?.answers).toHaveLength(1)
    expect(ask(`${'b'.repeat(63)}.long.home.example`)).toMatchObject({ rcode: RCODE.YXDOMAIN })
  })

  describe('that lead outside', () => {
    const outside = async (answer: (wire: Uint8Array) => Outcome | Promise<Outcome>, flags = {}) => {
      const seen: Uint8Array[] = []
      const { local } = await over('cdn CNAME edge.example.com.\nhop CNAME cdn')
      const next = resolverOf((query) => {
        seen.push(query.view.wire)
        return answer(query.view.wire)
      })
      const ask = async (name: string): Promise<Answer> => {
        const query = queryOf(queryWire(name, TYPE.A, flags))
        const outcome = await local.layer(next).resolve(query, new AbortController().signal)
        if (outcome.kind !== 'answer') throw new Error(outcome.reason)
        return outcome
      }
      return { ask, seen }
    }
    const found = (wire: Uint8Array): Outcome => ({
      kind: 'answer',
      wire: responseWire(wire, ['192.0.2.80', '192.0.2.81'], 30),
      from: 'cache',
      freshS: 30,
    })

    it('are resolved by the next layer, at once or later, and both parts are one answer', async () => {
      for (const answer of [found, async (wire: Uint8Array) => found(wire)]) {
        const { ask, seen } = await outside(answer, {
          edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] },
        })
        const outcome = await ask('HOP.home.example')
        const message = parseMessage(outcome.wire)
        expect(message).toMatchObject({ id: 0x1234, rcode: RCODE.NOERROR, questions: [{ name: 'HOP.home.example' }] })
        expect(textsOf(message?.answers)).toEqual([
          'HOP.home.example. 300 IN CNAME cdn.home.example.',
          'cdn.home.example. 300 IN CNAME edge.example.com.',
          'edge.example.com. 30 IN A 192.0.2.80',
          'edge.example.com. 30 IN A 192.0.2.81',
        ])
        expect(outcome).toMatchObject({ freshS: 30, from: 'local, cache' })
        expect(message?.edns).toBeUndefined()
        expect(parseMessage(seen[0]!)).toMatchObject({
          questions: [{ name: 'edge.example.com', type: TYPE.A }],
          recursionDesired: true,
          edns: { dnssecOk: true },
        })
      }
    })

    it('that is not there: the alias, and NXDOMAIN', async () => {
      const { ask } = await outside((wire) => ({
        kind: 'answer',
        wire: buildMessage({
          isResponse: true,
          rcode: RCODE.NXDOMAIN,
          questions: [{ name: 'edge.example.com', type: TYPE.A, class: CLASS.IN }],
          id: wire[0]! * 256 + wire[1]!,
        }),
        from: 'x',
      }))
      expect(parseMessage((await ask('cdn.home.example')).wire)).toMatchObject({
        rcode: RCODE.NXDOMAIN,
        answers: [{ type: TYPE.CNAME }],
      })
    })

    it('that cannot be found out', async () => {
      const { ask } = await outside(() => ({ kind: 'drop', reason: 'rate-limit' }))
      await expect(ask('cdn.home.example')).rejects.toThrow('rate-limit')
    })
  })
})

describe('fallthrough', () => {
  it('asks upstream for what the zone does not have, and only for that', async () => {
    const { ask, upstream } = await over('www A 192.168.1.10\na.b A 192.168.1.11', true)
    expect(ask('www.home.example')?.answers).toHaveLength(1)
    // An address of the other family would lead past the one that is stated.
    expect(ask('www.home.example', TYPE.AAAA)).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(upstream.asked).toBe(0)
    for (const name of ['home.example', 'other.home.example', 'b.home.example', 'x.www.home.example']) ask(name)
    expect(upstream.asked).toBe(4)
  })
})

describe('what people are told', () => {
  it('says where an answer comes from', async () => {
    const { local } = await over('nas A 192.168.1.10\nwww CNAME nas')
    const says = (name: string, type: number = TYPE.A) => local.explain({ name, type }, '192.168.1.2')?.says
    expect(says('nas.home.example')).toBe('local zone home.example: 1 A')
    expect(says('nas.home.example', TYPE.MX)).toBe('local zone home.example: no MX data')
    expect(says('www.home.example')).toBe('local zone home.example: an alias of nas.home.example')
    expect(says('x.invalid')).toBe('special-use name invalid (RFC 6761 §6.4): NXDOMAIN')
    expect(says('1.0.0.10.in-addr.arpa', TYPE.PTR)).toBe('special-use name 10.in-addr.arpa (RFC 6303 §4): NXDOMAIN')
    expect(says(PLAIN_PRESENCE.name)).toBe('what this router is: its name, addresses and certificate: 1 A')
    expect(says('example.com')).toBeUndefined()
    const { local: passing } = await over('nas A 192.168.1.10', true, { askedUpstream: ['test'] })
    expect(passing.explain({ name: 'x.test', type: TYPE.A }, '')).toEqual({
      layer: 'local',
      says: 'test as the settings pass it on: nothing known, the next layer is asked',
      decides: false,
    })
  })

  it('knows which names are local', async () => {
    const { local } = await over('nas A 192.168.1.10', true, { askedUpstream: ['corp.example', '10.in-addr.arpa'] })
    for (const name of [
      'x.home.example',
      'git.corp.example',
      'x.test',
      'nas.home.arpa',
      PLAIN_PRESENCE.name,
      '1.0.0.10.in-addr.arpa',
    ])
      expect(local.isLocalName(name), name).toBe(true)
    for (const name of ['example.com', 'example', 'net', '.', 'x.example.net'])
      expect(local.isLocalName(name), name).toBe(false)
  })
})
