import { describe, expect, it } from 'vitest'
import { RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { queryWire } from '../../../support/query.ts'
import { a, cacheOver, cname, soa, upstreamOf } from './scene.ts'

const CUT = { nxdomainCut: true }
const denying = () => upstreamOf({ rcode: RCODE.NXDOMAIN, authorities: [soa(900, 300)] })

describe('CACHE-5: a name that does not exist', () => {
  it('denies every name below it without a packet upstream; its SOA counts down', async () => {
    const upstream = denying()
    const { ask, clock } = cacheOver(upstream, CUT)
    await ask(queryWire('gone.example'))
    await clock.advance(100_000)
    for (const name of ['a.gone.example', 'c.b.a.gone.example', 'WWW.Gone.Example']) {
      const answer = await ask(queryWire(name, TYPE.AAAA, { id: 77 }))
      expect(answer).toMatchObject({ id: 77, rcode: RCODE.NXDOMAIN, from: 'cache', freshS: 200, answers: [] })
      expect(answer.questions).toEqual([{ name, type: TYPE.AAAA, class: 1 }])
      expect(answer.authorities[0]).toMatchObject({ ttl: 800, type: TYPE.SOA })
      expect(answer.authorities[0]?.name.toLowerCase()).toBe('example')
      expect(answer.authorities[0]?.data).toMatchObject({ serial: 1, minimum: 300 })
    }
    expect(upstream.asked).toBe(1)
  })

  it('denies every type of the name itself, with the switch off too (RFC 2308 §5)', async () => {
    for (const nxdomainCut of [true, false]) {
      const upstream = denying()
      const { ask } = cacheOver(upstream, { nxdomainCut })
      await ask(queryWire('gone.example', TYPE.A))
      expect(await ask(queryWire('gone.example', TYPE.MX))).toMatchObject({
        rcode: RCODE.NXDOMAIN,
        from: 'cache',
        questions: [{ type: TYPE.MX }],
      })
      expect(upstream.asked).toBe(1)
    }
  })

  it('denies nothing below it when the switch is off', async () => {
    const upstream = denying()
    const { ask } = cacheOver(upstream, { nxdomainCut: false })
    await ask(queryWire('gone.example'))
    await ask(queryWire('a.gone.example'))
    expect(upstream.asked).toBe(2)
  })

  it.each([
    ['a name above it', 'example'],
    ['a name beside it', 'here.example'],
    ['a name that only ends in the same letters', 'notgone.example'],
  ])('says nothing about %s', async (_, name) => {
    const upstream = denying()
    const { ask } = cacheOver(upstream, CUT)
    await ask(queryWire('gone.example'))
    expect((await ask(queryWire(name))).from).toBe('up')
  })

  it('says nothing about a domain below it that is asked elsewhere', async () => {
    const upstream = denying()
    const { ask } = cacheOver(upstream, { ...CUT, routedDomains: ['Corp.Lan.example'] })
    await ask(queryWire('lan.example'))
    expect((await ask(queryWire('lan.example'))).from).toBe('cache')
    expect((await ask(queryWire('pc.corp.lan.example'))).from).toBe('up')
    // That domain's own upstream denied this one.
    expect((await ask(queryWire('a.pc.corp.lan.example'))).from).toBe('cache')
    await ask(queryWire('corp.lan.example'))
    expect((await ask(queryWire('b.corp.lan.example'))).from).toBe('cache')
  })

  it('ends in time', async () => {
    const upstream = denying()
    const { ask, clock } = cacheOver(upstream, CUT)
    await ask(queryWire('gone.example'))
    await clock.advance(300_000)
    await ask(queryWire('a.gone.example'))
    expect(upstream.asked).toBe(2)
  })

  it('speaks for its own DO, CD, class and scope', async () => {
    const upstream = denying()
    const { ask } = cacheOver(upstream, CUT)
    await ask(queryWire('gone.example'))
    await ask(queryWire('a.gone.example', TYPE.A, { checkingDisabled: true }))
    await ask(queryWire('a.gone.example', TYPE.A, { questions: [{ name: 'a.gone.example', type: TYPE.A, class: 3 }] }))
    await ask(queryWire('a.gone.example'), { scope: 'guests' })
    expect(upstream.asked).toBe(4)
  })

  it('carries its proofs for who asked with DO', async () => {
    const proof = { name: 'gone.example', type: TYPE.NSEC, class: 1, ttl: 300, data: Uint8Array.of(0, 0, 1, 2) }
    const edns = { udpSize: 1232, version: 0, dnssecOk: true, options: [] }
    const upstream = upstreamOf({ rcode: RCODE.NXDOMAIN, authorities: [soa(900, 300), proof] })
    const { ask } = cacheOver(upstream, CUT)
    await ask(queryWire('gone.example', TYPE.A, { edns }))
    const { authorities } = await ask(queryWire('a.gone.example', TYPE.A, { edns }))
    expect({ ...authorities[1], data: Uint8Array.from(authorities[1]?.data as Uint8Array) }).toEqual(proof)
    expect(upstream.asked).toBe(1)
  })
})

describe('CACHE-5: an NXDOMAIN that does not deny the name asked for', () => {
  it.each([
    ['came through a CNAME', { answers: [cname('alias.example', 'gone.example', 300)], authorities: [soa(300, 300)] }],
    ['has the SOA of the name itself', { authorities: [soa(300, 300, 'alias.example')] }],
    ['has the SOA of another zone', { authorities: [soa(300, 300, 'other')] }],
    ['has no SOA', {}],
  ])('because it %s: names below are asked', async (_, fields) => {
    const upstream = upstreamOf({ rcode: RCODE.NXDOMAIN, ...fields })
    const { ask } = cacheOver(upstream, CUT)
    await ask(queryWire('alias.example'))
    expect((await ask(queryWire('a.alias.example'))).from).toBe('up')
  })
})

describe('what is believed of a name', () => {
  it('is the later of NXDOMAIN and an answer', async () => {
    let exists = true
    const upstream = upstreamOf(() =>
      exists ? { answers: [a('a.example', 60)] } : { rcode: RCODE.NXDOMAIN, authorities: [soa(60, 60)] },
    )
    const { ask, clock, cache } = cacheOver(upstream, CUT)
    for (const rcode of [RCODE.NOERROR, RCODE.NXDOMAIN, RCODE.NOERROR]) {
      exists = rcode === RCODE.NOERROR
      expect((await ask(queryWire('a.example'))).rcode).toBe(rcode)
      expect(await ask(queryWire('a.example'))).toMatchObject({ rcode, from: 'cache' })
      expect(cache.status().entries).toBe(1)
      await clock.advance(60_000)
    }
  })
})
