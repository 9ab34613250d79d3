import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { CLASS, RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { reverseName } from '../../../../src/dns/reverse-name.ts'
import { localOver, PLAIN_PRESENCE, textsOf, zoneOf } from '../../../support/local.ts'
import { queryWire } from '../../../support/query.ts'

/** dns §9.8: names of which there is nothing, the apex included. */
const NOTHING = ['test', 'invalid', 'local', 'onion', 'alt', 'internal', '6tisch.arpa', 'eap-noob.arpa']
/** Those with an apex. */
const EMPTY = ['home.arpa', 'service.arpa', 'default.service.arpa']
/** RFC 6303 §4.1 to §4.6, RFC 7793 §2. */
const REVERSE = [
  '0',
  '10',
  '127',
  '254.169',
  '168.192',
  '2.0.192',
  '100.51.198',
  '113.0.203',
  '255.255.255.255',
  '16.172',
  '20.172',
  '31.172',
  '64.100',
  '100.100',
  '127.100',
].map((labels) => `${labels}.in-addr.arpa`)
const REVERSE_V6 = [
  `${'0.'.repeat(32)}ip6.arpa`,
  `1.${'0.'.repeat(31)}ip6.arpa`,
  ...['d.f', '8.e.f', '9.e.f', 'a.e.f', 'b.e.f', '8.b.d.0.1.0.0.2'].map((nibbles) => `${nibbles}.ip6.arpa`),
]
const ZONES = [...EMPTY, ...REVERSE, ...REVERSE_V6]
const TYPES = [TYPE.A, TYPE.AAAA, TYPE.NS, TYPE.SOA, TYPE.PTR, TYPE.HTTPS, TYPE.TXT, TYPE.DS, TYPE.ANY, 65_400]

describe('FWD-7: special names cause no upstream packet', () => {
  it('whatever the name, type and class', async () => {
    const { resolve, upstream } = await localOver()
    const zones = [...NOTHING, ...ZONES, 'localhost', 'resolver.arpa', PLAIN_PRESENCE.name]
    for (const zone of zones) {
      for (const name of zone === PLAIN_PRESENCE.name ? [zone, `_dns.${zone}`] : [zone, `x.${zone}`, `a.b.c.${zone}`]) {
        for (const type of TYPES) {
          for (const of of [CLASS.IN, CLASS.CH, CLASS.ANY]) {
            const answer = resolve(queryWire(name, type, { questions: [{ name, type, class: of }] }))
            expect(answer && answer.wire[2]! & 0x04, `${name} ${type} is authoritative`).toBe(0x04)
          }
        }
      }
    }
    expect(upstream.asked).toBe(0)
  })

  it('whatever labels are below', async () => {
    const { resolve, upstream } = await localOver()
    const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,12}$/)
    const zone = fc.constantFrom(...NOTHING, ...ZONES, 'localhost', 'resolver.arpa')
    fc.assert(
      fc.property(fc.array(label, { maxLength: 5 }), zone, fc.constantFrom(...TYPES), (labels, apex, type) => {
        expect(resolve(queryWire([...labels, apex].join('.'), type))).toBeDefined()
      }),
      { seed: 5, numRuns: 500 },
    )
    expect(upstream.asked).toBe(0)
  })

  it.each(NOTHING)('%s: no such name, nor any below', async (zone) => {
    const { ask } = await localOver()
    for (const name of [zone, `www.${zone}`, `A.B.${zone.toUpperCase()}`]) {
      for (const type of TYPES) {
        expect(ask(name, type)).toMatchObject({
          rcode: RCODE.NXDOMAIN,
          authoritative: true,
          recursionAvailable: true,
          answers: [],
          authorities: [{ type: TYPE.SOA }],
        })
      }
    }
  })

  it.each(ZONES)('%s: SOA and NS at the apex, no such name below', async (zone) => {
    const { ask } = await localOver()
    const name = zone.replace(/\.$/, '')
    expect(textsOf(ask(name, TYPE.SOA)?.answers)).toEqual([
      `${name}. 10800 IN SOA ${name}. nobody.invalid. 1 3600 1200 604800 10800`,
    ])
    expect(textsOf(ask(name, TYPE.NS)?.answers)).toEqual([`${name}. 10800 IN NS ${name}.`])
    expect(ask(name, TYPE.TXT)).toMatchObject({ rcode: RCODE.NOERROR, answers: [], authorities: [{ name }] })
    if (name === 'service.arpa') expect(ask(`x.${name}`)).toMatchObject({ rcode: RCODE.NXDOMAIN })
    expect(ask(`7.${name}`, TYPE.PTR)).toMatchObject({
      rcode: RCODE.NXDOMAIN,
      answers: [],
      authorities: [{ name, type: TYPE.SOA, data: { minimum: 10_800 } }],
    })
  })

  it('the whole of 172.16/12 and 100.64/10, and not their neighbours', async () => {
    const { ask, upstream } = await localOver()
    for (let second = 0; second < 256; second++) {
      const isLocal = { '172': second >= 16 && second <= 31, '100': second >= 64 && second <= 127 }
      for (const first of ['172', '100'] as const)
        expect(ask(`1.1.${second}.${first}.in-addr.arpa`, TYPE.PTR) !== undefined).toBe(isLocal[first])
    }
    expect(upstream.asked).toBe(512 - 16 - 64)
  })

  it('localhost is this host, every name below it too, and nothing but addresses', async () => {
    const { ask, upstream } = await localOver()
    for (const name of ['localhost', 'app.localhost', 'a.b.localhost']) {
      expect(textsOf(ask(name)?.answers)).toEqual([`${name}. 10800 IN A 127.0.0.1`])
      expect(textsOf(ask(name, TYPE.AAAA)?.answers)).toEqual([`${name}. 10800 IN AAAA ::1`])
      for (const type of [TYPE.MX, TYPE.HTTPS, TYPE.TXT, TYPE.NS])
        expect(ask(name, type)).toMatchObject({ rcode: RCODE.NOERROR, answers: [], authorities: [{ type: TYPE.SOA }] })
    }
    expect(textsOf(ask(reverseName('127.0.0.1')!, TYPE.PTR)?.answers)).toEqual([
      '1.0.0.127.in-addr.arpa. 10800 IN PTR localhost.',
    ])
    expect(ask(reverseName('::1')!, TYPE.PTR)?.answers).toMatchObject([{ data: { host: 'localhost' } }])
    expect(ask(reverseName('127.0.0.2')!, TYPE.PTR)).toMatchObject({ rcode: RCODE.NXDOMAIN })
    expect(ask('0.0.127.in-addr.arpa', TYPE.PTR)).toMatchObject({ rcode: RCODE.NOERROR, answers: [] })
    expect(upstream.asked).toBe(0)
  })
})

describe('RES-1: RESINFO', () => {
  it('of our own name and of resolver.arpa is ours to answer, with AA, and never forwarded', async () => {
    const { ask, upstream } = await localOver()
    for (const name of [PLAIN_PRESENCE.name, 'resolver.arpa', '_dns.resolver.arpa', `_dns.${PLAIN_PRESENCE.name}`])
      expect(ask(name, TYPE.RESINFO)).toMatchObject({ rcode: RCODE.NOERROR, authoritative: true })
    expect(upstream.asked).toBe(0)
  })
})

describe('what is asked upstream', () => {
  it.each([
    'example',
    'example.com',
    'ipv4only.arpa',
    '170.0.0.192.in-addr.arpa',
    '171.0.0.192.in-addr.arpa',
    'use-application-dns.net',
    'c.f.ip6.arpa',
    '1.1.1.1.in-addr.arpa',
    'testing',
    'mytest',
    'localhost.example',
    'home.arpa.example',
    'in-addr.arpa',
    'arpa',
    'com',
  ])('%s', async (name) => {
    const { ask, upstream } = await localOver()
    expect(ask(name)).toBeUndefined()
    expect(upstream.asked).toBe(1)
  })

  const forwards = async (askedUpstream: readonly string[], name: string, zones: ReturnType<typeof zoneOf>[] = []) => {
    const { ask, upstream } = await localOver(PLAIN_PRESENCE, { askedUpstream, zones })
    ask(name, TYPE.PTR)
    return upstream.asked === 1
  }

  it('a special name that the settings forward, or a route that leads there', async () => {
    expect(await forwards(['10.in-addr.arpa'], '1.0.0.10.in-addr.arpa')).toBe(true)
    expect(await forwards(['10.in-addr.arpa'], '10.in-addr.arpa')).toBe(true)
    expect(await forwards(['10.in-addr.arpa'], '1.1.168.192.in-addr.arpa')).toBe(false)
    expect(await forwards(['5.10.in-addr.arpa'], '1.0.5.10.in-addr.arpa')).toBe(true)
    expect(await forwards(['5.10.in-addr.arpa'], '1.0.6.10.in-addr.arpa')).toBe(false)
    expect(await forwards(['in-addr.arpa'], '1.0.0.10.in-addr.arpa')).toBe(true)
    expect(await forwards(['corp.internal'], 'git.corp.internal')).toBe(true)
    expect(await forwards(['corp.internal'], 'other.internal')).toBe(false)
    expect(await forwards(['home.arpa'], 'x.home.arpa')).toBe(true)
  })

  it('never the loopback name and resolver.arpa, whatever the routes say', async () => {
    for (const routed of ['localhost', 'resolver.arpa', '_dns.resolver.arpa', 'arpa', '.']) {
      expect(await forwards([routed], '_dns.resolver.arpa')).toBe(false)
      expect(await forwards([routed], 'x.resolver.arpa')).toBe(false)
      expect(await forwards([routed], 'x.localhost')).toBe(false)
    }
    expect(await forwards(['.'], '1.0.0.10.in-addr.arpa')).toBe(false)
  })

  it('not where the settings have a zone of that very name or below', async () => {
    const zone = zoneOf('corp.internal', 'git A 10.0.0.1')
    expect(await forwards(['corp.internal', 'internal'], 'git.corp.internal', [zone])).toBe(false)
    expect(await forwards(['corp.internal', 'internal'], 'x.internal', [zone])).toBe(true)
  })
})
