import { beforeEach, describe, expect, it } from 'vitest'
import { createAcmeServer } from '../../../../src/acme/server/server.ts'
import {
  BASE,
  createWorld,
  DAY_S,
  enrol,
  NAME,
  plainOrder,
  problemOf,
  RawPeer,
  starOrder,
  type World,
} from '../../world.ts'

const NEW_ORDER = `${BASE}/new-order`

let world: World
let peer: RawPeer
let delegation: string

beforeEach(async () => {
  world = createWorld()
  ;({ peer, delegation } = await enrol(world))
})

const refusal = async (payload: object) => problemOf(await peer.post(NEW_ORDER, payload))
const dns = (...names: string[]) => ({ identifiers: names.map((value) => ({ type: 'dns', value })) })
const star = (terms: object) => {
  const order = starOrder(world, delegation)
  return { ...order, 'auto-renewal': { ...order['auto-renewal'], ...terms } }
}
const dateIn = (days: number) => new Date(world.clock.nowMs() + days * DAY_S * 1000).toISOString()

describe('RFC 9115 §2.3.2 newOrder for STAR', () => {
  it('creates an order that is ready, without authorizations, echoing its terms', async () => {
    const reply = await peer.post(NEW_ORDER, starOrder(world, delegation))
    const url = reply.location
    expect(reply.status).toBe(201)
    expect(reply.headers['Content-Type']).toBe('application/json')
    expect(reply.headers['Link']).toEqual([`<${BASE}/directory>;rel="index"`])
    expect(reply.json).toEqual({
      status: 'ready',
      expires: '2026-12-24T00:00:00Z',
      identifiers: [{ type: 'dns', value: NAME }],
      delegation,
      'auto-renewal': {
        'end-date': '2026-12-24T00:00:00Z',
        lifetime: 7 * DAY_S,
        'lifetime-adjust': DAY_S,
        'allow-certificate-get': true,
      },
      authorizations: [],
      finalize: `${url}/finalize`,
    })
    expect((await peer.post(url, null)).json).toEqual(reply.json)
  })

  it('never lets the order expire before its end-date', async () => {
    const soon = await peer.post(NEW_ORDER, star({ 'end-date': dateIn(2) }))
    const late = await peer.post(NEW_ORDER, star({ 'end-date': dateIn(300) }))
    expect(Date.parse(soon.json.expires)).toBeGreaterThanOrEqual(Date.parse(dateIn(2)))
    expect(late.json.expires).toBe(late.json['auto-renewal']['end-date'])
  })

  it('echoes a start-date, in UTC', async () => {
    const reply = await peer.post(NEW_ORDER, star({ 'start-date': '2026-12-01T02:00:00+02:00' }))
    expect(reply.json['auto-renewal']['start-date']).toBe('2026-12-01T00:00:00Z')
  })

  it('takes a start-date in the past: the first certificate is due at once', async () => {
    expect((await peer.post(NEW_ORDER, star({ 'start-date': dateIn(-1) }))).status).toBe(201)
  })

  it.each([
    ['without the GET flag', { 'allow-certificate-get': undefined }],
    ['with a false GET flag', { 'allow-certificate-get': false }],
    ['without end-date', { 'end-date': undefined }],
    ['with an end-date in the past', { 'end-date': '2026-11-01T00:00:00Z' }],
    ['with an end-date that is no RFC 3339 date', { 'end-date': '24 Dec 2026' }],
    ['with an end-date before the start-date', { 'start-date': '2026-12-25T00:00:00Z' }],
    ['without lifetime', { lifetime: undefined }],
    ['with a lifetime as text', { lifetime: '604800' }],
    ['with a fraction of a second', { lifetime: 604_800.5 }],
    ['with a negative lifetime-adjust', { 'lifetime-adjust': -1 }],
  ])('refuses an order %s', async (_, terms) => {
    expect(await refusal(star(terms))).toBe('400 malformed')
  })

  it('names the bound that was overstepped', async () => {
    const short = await peer.post(NEW_ORDER, star({ lifetime: DAY_S - 1 }))
    const long = await peer.post(NEW_ORDER, star({ 'end-date': dateIn(366) }))
    expect([problemOf(short), problemOf(long)]).toEqual(['400 malformed', '400 malformed'])
    expect(short.json.detail).toContain(`${DAY_S} s`)
    expect(long.json.detail).toContain('2027-11-24T00:00:00Z')
  })

  it('refuses notBefore and notAfter (RFC 8739 §3.1.1)', async () => {
    expect(await refusal(starOrder(world, delegation, { notBefore: dateIn(1) }))).toBe('400 malformed')
    expect(await refusal(starOrder(world, delegation, { notAfter: dateIn(9) }))).toBe('400 malformed')
  })

  it('refuses the GET flag at top level', async () => {
    expect(await refusal(starOrder(world, delegation, { 'allow-certificate-get': true }))).toBe('400 malformed')
  })

  it('refuses an auto-renewal that is no object', async () => {
    for (const value of [true, null, [], 'yes']) {
      expect(await refusal(starOrder(world, delegation, { 'auto-renewal': value }))).toBe('400 malformed')
    }
  })

  it('is refused by a server that does not renew', async () => {
    const { autoRenewal: _, ...options } = world.options
    const plain = new RawPeer(createAcmeServer(options), peer.keyPem)
    plain.kid = peer.kid
    const reply = await plain.post(NEW_ORDER, starOrder(world, delegation))
    expect(problemOf(reply)).toBe('400 malformed')
    expect(reply.json.detail).toContain('does not renew')
  })
})

describe('RFC 9115 §2.3.3 newOrder for one certificate', () => {
  it('echoes the GET flag at top level', async () => {
    const { status, json } = await peer.post(NEW_ORDER, plainOrder(delegation))
    expect(status).toBe(201)
    expect(json).toMatchObject({ status: 'ready', 'allow-certificate-get': true, authorizations: [], delegation })
    expect(json).not.toHaveProperty('auto-renewal')
  })

  it('refuses an order without the GET flag', async () => {
    expect(await refusal(plainOrder(delegation, { 'allow-certificate-get': undefined }))).toBe('400 malformed')
    expect(await refusal(plainOrder(delegation, { 'allow-certificate-get': 'true' }))).toBe('400 malformed')
  })

  it('refuses dates it could not promise (RFC 8555 §7.4)', async () => {
    expect(await refusal(plainOrder(delegation, { notAfter: dateIn(9) }))).toBe('400 malformed')
  })
})

describe('RFC 9115 §2.3.1.3 the delegation of an order', () => {
  it('is required here', async () => {
    const reply = await peer.post(NEW_ORDER, plainOrder(delegation, { delegation: undefined }))
    expect(problemOf(reply)).toBe('403 unauthorized')
    expect(reply.json.detail).toContain('delegation')
  })

  it('must be known', async () => {
    for (const url of [`${BASE}/delegation/none`, `${BASE}/order/d1`, 'https://other.example/a/delegation/d1', '']) {
      expect(await refusal(plainOrder(url))).toBe('403 unknownDelegation')
    }
    expect(await refusal({ ...plainOrder(delegation), delegation: 7 })).toBe('400 malformed')
  })

  it('must not be foreign', async () => {
    const { peer: other } = await enrol(world, 'd2')
    expect(problemOf(await other.post(NEW_ORDER, plainOrder(delegation)))).toBe('403 unknownDelegation')
  })

  it('must not have been removed', async () => {
    world.delegated.delete('d1')
    expect(await refusal(plainOrder(delegation))).toBe('403 unknownDelegation')
  })
})

describe('RFC 8555 §7.4 identifiers', () => {
  it('are lower-cased and taken once', async () => {
    const { json } = await peer.post(NEW_ORDER, plainOrder(delegation, dns('CPE7.ISP.example', NAME)))
    expect(json.identifiers).toEqual([{ type: 'dns', value: NAME }])
  })

  it.each([
    '',
    'cpe7',
    `${NAME}.`,
    `${NAME}:443`,
    '192.0.2.1',
    '2001:db8::1',
    '-a.isp.example',
    'a..isp.example',
    '*.*.example',
    'ä.example',
    `${'a'.repeat(64)}.example`,
  ])('are refused as %j', async (name) => {
    const reply = await peer.post(NEW_ORDER, plainOrder(delegation, dns(NAME, name)))
    expect(problemOf(reply)).toBe('400 malformed')
    expect(reply.json.subproblems).toMatchObject([{ identifier: { type: 'dns', value: name } }])
  })

  it('are refused when they are of another type', async () => {
    const identifiers = [{ type: 'ip', value: '192.0.2.1' }]
    expect(await refusal(plainOrder(delegation, { identifiers }))).toBe('400 unsupportedIdentifier')
  })

  it('are refused when the list is empty, too long or no list', async () => {
    const many = Array.from({ length: 101 }, (_, index) => `n${index}.isp.example`)
    for (const identifiers of [undefined, [], {}, [7], [{}], dns(...many).identifiers]) {
      expect(await refusal(plainOrder(delegation, { identifiers }))).toBe('400 malformed')
    }
  })

  it('are refused one by one when the delegation does not cover them', async () => {
    const reply = await peer.post(
      NEW_ORDER,
      starOrder(world, delegation, dns(NAME, 'cpe8.isp.example', '*.isp.example')),
    )
    expect(problemOf(reply)).toBe('403 rejectedIdentifier')
    expect(reply.json.subproblems.map((sub: any) => sub.identifier.value)).toEqual([
      'cpe8.isp.example',
      '*.isp.example',
    ])
    expect(reply.headers['Content-Type']).toBe('application/problem+json')
  })

  it('are refused when a name that the delegation demands is missing', async () => {
    const both = await enrol(world, 'd2', [NAME, 'tv.cpe7.isp.example'])
    expect(problemOf(await both.peer.post(NEW_ORDER, plainOrder(both.delegation)))).toBe('400 malformed')
  })
})
