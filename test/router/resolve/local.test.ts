import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { concatBytes, fromHex } from '../../../src/core/bytes.ts'
import { CLASS, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { encryptedEndpoints, type Presence } from '../../../src/router/discovery/presence.ts'
import { golden, hexOf } from '../../dns/golden.ts'
import { localOver, textsOf } from '../../support/local.ts'
import { queryWire } from '../../support/query.ts'

const NAME = 'dns.cpe-7f3a.example.net'
const CERTIFICATE = { notAfterMs: Number.POSITIVE_INFINITY, ipAddresses: [] }

/** The router of the running example, on its standard ports. */
const HOME: Presence = {
  name: NAME,
  addresses: ['192.168.1.1', 'fd7f:3a00:1::1'],
  do53Port: 53,
  endpoints: encryptedEndpoints({ dot: 853, doh: 443 }),
  certificate: CERTIFICATE,
}
const { certificate: _, ...WITHOUT_CERTIFICATE } = HOME

describe('DDR-1: _dns.resolver.arpa SVCB', () => {
  it('is the answer of standard section 4.1, with our protocols, byte for byte', async () => {
    const answer = (await localOver(HOME)).resolve(queryWire('_dns.resolver.arpa', TYPE.SVCB))
    expect(hexOf(answer!.wire)).toBe(hexOf(golden('ddr-answer-dot-h2')))
    expect(answer).toMatchObject({ from: 'local', freshS: 300 })
  })

  it('names other ports where they are not the usual ones', async () => {
    const { ask } = await localOver({ ...HOME, endpoints: encryptedEndpoints({ dot: 8853, doh: 8443 }) })
    expect(textsOf(ask('_dns.resolver.arpa', TYPE.SVCB)?.answers)).toEqual([
      `_dns.resolver.arpa. 300 IN SVCB 1 ${NAME}. alpn="dot" port="8853"`,
      `_dns.resolver.arpa. 300 IN SVCB 2 ${NAME}. alpn="h2" port="8443" dohpath="/dns-query{?dns}"`,
    ])
  })

  it('is answered in whatever letter case it is asked, and echoes it', async () => {
    const { ask } = await localOver(HOME)
    expect(ask('_DNS.Resolver.ARPA', TYPE.SVCB)).toMatchObject({
      questions: [{ name: '_DNS.Resolver.ARPA' }],
      answers: [{ name: '_DNS.Resolver.ARPA' }, {}],
    })
  })

  it('is nothing on a public address that the certificate leaves out', async () => {
    const addresses = ['192.168.1.1', '2001:db8:7f3a:1::1']
    expect((await localOver({ ...HOME, addresses })).ask('_dns.resolver.arpa', TYPE.SVCB)?.answers).toEqual([])
    const certificate = { ...CERTIFICATE, ipAddresses: ['2001:db8:7f3a:1::1'] }
    expect(
      (await localOver({ ...HOME, addresses, certificate })).ask('_dns.resolver.arpa', TYPE.SVCB)?.answers.length,
    ).toBe(2)
  })
})

describe('DDR-2: the rest of resolver.arpa', () => {
  it('is the NODATA answer of standard section 4.1, byte for byte', async () => {
    const { resolve } = await localOver(HOME)
    expect(hexOf(resolve(queryWire('_dns.resolver.arpa', TYPE.A))!.wire)).toBe(hexOf(golden('ddr-nodata')))
  })

  const names = [
    'resolver.arpa',
    '_dns.resolver.arpa',
    'foo.resolver.arpa',
    'a.b.c.resolver.arpa',
    '_853._dns.resolver.arpa',
    'x._dns.resolver.arpa',
  ]
  const types = [
    TYPE.A,
    TYPE.AAAA,
    TYPE.NS,
    TYPE.SOA,
    TYPE.HTTPS,
    TYPE.TXT,
    TYPE.DS,
    TYPE.ANY,
    TYPE.RESINFO,
    TYPE.SVCB,
    65_400,
  ]
  it.each(names)('%s is NODATA with an SOA for every type, never NXDOMAIN, never asked upstream', async (name) => {
    const { ask, upstream } = await localOver(HOME)
    for (const type of types) {
      if (name === '_dns.resolver.arpa' && type === TYPE.SVCB) continue
      expect(ask(name, type)).toMatchObject({
        rcode: RCODE.NOERROR,
        authoritative: true,
        answers: [],
        authorities: [{ name: 'resolver.arpa', type: TYPE.SOA, data: { minimum: 60 } }],
      })
    }
    expect(upstream.asked).toBe(0)
  })

  it('has no end: any labels below it', async () => {
    const { ask, upstream } = await localOver(HOME)
    const label = fc.stringMatching(/^[a-z0-9_-]{1,20}$/)
    fc.assert(
      fc.property(fc.array(label, { maxLength: 8 }), fc.integer({ min: 1, max: 65_535 }), (labels, type) => {
        if (labels.join('.') === '_dns') return
        const answer = ask([...labels, 'resolver.arpa'].join('.'), type === TYPE.OPT ? TYPE.A : type)
        expect([answer?.rcode, answer?.answers.length, answer?.authorities.length]).toEqual([RCODE.NOERROR, 0, 1])
      }),
      { seed: 1, numRuns: 200 },
    )
    expect(upstream.asked).toBe(0)
  })
})

describe('DDR-3: without a certificate', () => {
  it('there is nothing, and clients soon ask again', async () => {
    const { resolve, ask } = await localOver(WITHOUT_CERTIFICATE)
    expect(ask('_dns.resolver.arpa', TYPE.SVCB)).toMatchObject({
      rcode: RCODE.NOERROR,
      answers: [],
      additionals: [],
      authorities: [{ ttl: 60, data: { minimum: 60 } }],
    })
    expect(resolve(queryWire('_dns.resolver.arpa', TYPE.SVCB))?.freshS).toBe(60)
    expect(ask(`_dns.${NAME}`, TYPE.SVCB)).toMatchObject({
      rcode: RCODE.NOERROR,
      answers: [],
      authorities: [{ name: NAME, ttl: 60 }],
    })
    expect(textsOf(ask(NAME)?.answers)).toEqual([`${NAME}. 300 IN A 192.168.1.1`])
  })

  it('a certificate that comes or goes is seen by the next question', async () => {
    const { state, ask } = await localOver(WITHOUT_CERTIFICATE)
    const count = (): number | undefined => ask('_dns.resolver.arpa', TYPE.SVCB)?.answers.length
    expect(count()).toBe(0)
    state.presence = HOME
    expect(count()).toBe(2)
    state.presence = WITHOUT_CERTIFICATE
    expect(count()).toBe(0)
  })
})

describe('our own name', () => {
  it('has its addresses, also offline', async () => {
    const { ask, upstream } = await localOver(HOME)
    expect(textsOf(ask(NAME, TYPE.A)?.answers)).toEqual([`${NAME}. 300 IN A 192.168.1.1`])
    expect(textsOf(ask(NAME.toUpperCase(), TYPE.AAAA)?.answers)).toEqual([
      `${NAME.toUpperCase()}. 300 IN AAAA fd7f:3a00:1::1`,
    ])
    expect(ask(NAME, TYPE.TXT)).toMatchObject({
      rcode: RCODE.NOERROR,
      authoritative: true,
      answers: [],
      authorities: [{ name: NAME }],
    })
    expect(ask(NAME, TYPE.A)?.additionals).toEqual([])
    expect(upstream.asked).toBe(0)
  })

  it('has no address of a family it is not served on', async () => {
    const { ask } = await localOver({ ...HOME, addresses: ['192.168.1.1'] })
    expect(ask(NAME, TYPE.AAAA)).toMatchObject({ rcode: RCODE.NOERROR, answers: [], authorities: [{ type: TYPE.SOA }] })
  })

  it('_dns.NAME SVCB is what _dns.resolver.arpa says, with the addresses', async () => {
    const { ask } = await localOver(HOME)
    const answer = ask(`_dns.${NAME}`, TYPE.SVCB)
    expect(textsOf(answer?.answers)).toEqual([
      `_dns.${NAME}. 300 IN SVCB 1 ${NAME}. alpn="dot"`,
      `_dns.${NAME}. 300 IN SVCB 2 ${NAME}. alpn="h2" dohpath="/dns-query{?dns}"`,
    ])
    expect(textsOf(answer?.additionals)).toEqual([
      `${NAME}. 300 IN A 192.168.1.1`,
      `${NAME}. 300 IN AAAA fd7f:3a00:1::1`,
    ])
  })

  it('_dns.NAME SVCB needs no address in the certificate: the name is what is verified', async () => {
    const { ask } = await localOver({ ...HOME, addresses: ['2001:db8:7f3a:1::1'] })
    expect(ask(`_dns.${NAME}`, TYPE.SVCB)?.answers.length).toBe(2)
  })

  it('_PORT._dns.NAME is served when plain DNS is on another port, and only then', async () => {
    const other = await localOver({ ...HOME, do53Port: 5453 })
    expect(other.ask(`_5453._dns.${NAME}`, TYPE.SVCB)?.answers.length).toBe(2)
    expect(other.ask('_5453._dns.resolver.arpa', TYPE.SVCB)?.answers.length).toBe(2)
    expect(other.ask(`_dns.${NAME}`, TYPE.SVCB)?.answers.length).toBe(2)
    const usual = await localOver(HOME)
    expect(usual.ask(`_53._dns.${NAME}`, TYPE.SVCB)).toBeUndefined()
    expect(usual.upstream.asked).toBe(1)
  })
})

describe('what is forwarded', () => {
  /** Name from labels of any octets. */
  const wireOf = (labels: readonly Uint8Array[], type: number = TYPE.A, classOf: number = CLASS.IN): Uint8Array =>
    concatBytes([
      fromHex('123401000001000000000000')!,
      ...labels.flatMap((label) => [Uint8Array.of(label.length), label]),
      Uint8Array.of(0, type >> 8, type & 0xff, 0, classOf),
    ])

  it.each(['resolver.arpa.example', 'arpa', 'xresolver.arpa', 'resolver.arpax', `x.${NAME}`, 'example.net', 'net'])(
    '%s',
    async (name) => {
      const { ask, upstream } = await localOver(HOME)
      expect(ask(name)).toBeUndefined()
      expect(upstream.asked).toBe(1)
    },
  )

  it('the root', async () => {
    const { resolve, upstream } = await localOver(HOME)
    expect(resolve(wireOf([], TYPE.NS))).toBeUndefined()
    expect(upstream.asked).toBe(1)
  })

  it('a label that holds the octets of the labels resolver and arpa', async () => {
    const trick = Buffer.from('\x08resolver\x04arpa')
    for (const labels of [[trick], [Buffer.from('_dns'), trick], [Buffer.from('x\x08resolver'), Buffer.from('arpa')]]) {
      const { resolve, upstream } = await localOver(HOME)
      expect(MessageView.over(wireOf(labels))).toBeDefined()
      expect(resolve(wireOf(labels))).toBeUndefined()
      expect(upstream.asked).toBe(1)
    }
  })

  it('other classes', async () => {
    const { resolve, upstream } = await localOver(HOME)
    expect(resolve(wireOf([Buffer.from('version'), Buffer.from('bind')], TYPE.TXT, CLASS.CH))).toBeUndefined()
    expect(upstream.asked).toBe(1)
  })
})
