import { beforeEach, describe, expect, it } from 'vitest'
import { ask, BASE, createWorld, encode, enrol, problemOf, type RawPeer, type Tweaks, type World } from '../../world.ts'

let world: World
let peer: RawPeer

beforeEach(async () => {
  world = createWorld()
  peer = (await enrol(world)).peer
})

const refusal = async (tweaks: Tweaks) => problemOf(await peer.post(peer.kid!, null, tweaks))

describe('RFC 8555 §6.2 what a JWS must not be', () => {
  const { undefined: absent } = {} as Record<string, undefined>
  const REFUSED: readonly (readonly [string, Tweaks, string])[] = [
    [
      'a content type other than application/jose+json',
      { headers: { 'content-type': 'application/json' } },
      '415 malformed',
    ],
    [
      'a content type with parameters',
      { headers: { 'content-type': 'application/jose+json; charset=utf-8' } },
      '415 malformed',
    ],
    ['Replay-Nonce as a request header', { headers: { 'replay-nonce': 'AAAA' } }, '400 malformed'],
    ['an unprotected header', { jws: { header: { alg: 'ES256' } } }, '400 malformed'],
    ['the general form with a list of signatures', { jws: { signatures: [] } }, '400 malformed'],
    ['no protected header', { jws: { protected: absent } }, '400 malformed'],
    ['no payload', { jws: { payload: absent } }, '400 malformed'],
    ['no signature', { jws: { signature: absent } }, '400 malformed'],
    ['a padded signature', { jws: { signature: 'AAA=' } }, '400 malformed'],
    ['a payload in plain base64', { jws: { payload: '+/+/' } }, '400 malformed'],
    ['a protected header that is not JSON', { jws: { protected: encode('{') } }, '400 malformed'],
    ['a protected header that is a list', { jws: { protected: encode([]) } }, '400 malformed'],
    ['b64 (RFC 7797)', { header: { b64: false } }, '400 malformed'],
    ['crit', { header: { crit: ['exp'], exp: 1 } }, '400 malformed'],
    ['both jwk and kid', { header: { jwk: {} } }, '400 malformed'],
    ['neither jwk nor kid', { header: { kid: absent } }, '400 malformed'],
    ['a kid that is no text', { header: { kid: 7 } }, '400 malformed'],
    ['jwk where kid is wanted', { by: 'jwk' }, '400 malformed'],
    ['a nonce outside the base64url alphabet', { header: { nonce: 'a+b=' } }, '400 malformed'],
    ['no nonce', { header: { nonce: absent } }, '400 badNonce'],
    ['a nonce nobody issued', { header: { nonce: 'AAAAAAAAAAAAAAAAAAAAAA' } }, '400 badNonce'],
    ['alg none', { header: { alg: 'none' } }, '400 badSignatureAlgorithm'],
    ['a MAC', { header: { alg: 'HS256' } }, '400 badSignatureAlgorithm'],
    ['no alg', { header: { alg: absent } }, '400 badSignatureAlgorithm'],
    ['an algorithm that does not fit the key', { header: { alg: 'RS256' } }, '400 malformed'],
    ['an algorithm for another curve', { header: { alg: 'ES384' } }, '400 malformed'],
    ['a url other than the one asked', { header: { url: `${BASE}/new-order` } }, '403 unauthorized'],
    ['no url', { header: { url: absent } }, '403 unauthorized'],
    ['a kid of no account', { header: { kid: `${BASE}/account/AAAA` } }, '400 accountDoesNotExist'],
    ['a kid of another server', { header: { kid: 'https://other.example/a/account/AAAA' } }, '400 accountDoesNotExist'],
    ['a signature over something else', { jws: { payload: encode({}) } }, '400 malformed'],
    ['an empty signature', { jws: { signature: '' } }, '400 malformed'],
  ]

  it.each(REFUSED)('refuses %s', async (_, tweaks, verdict) => {
    expect(await refusal(tweaks)).toBe(verdict)
  })

  it('refuses the signature of another key', async () => {
    const other = (await enrol(world)).peer
    expect(await refusal({ signWith: other.keyPem })).toBe('400 malformed')
  })

  it('names the algorithms it takes', async () => {
    const { json } = await peer.post(peer.kid!, null, { header: { alg: 'none' } })
    expect(json.algorithms).toEqual(['ES256', 'ES384', 'ES512', 'RS256'])
  })

  it.each(['', 'not JSON', '[]', '"text"', 'null', '{"a":'])('refuses the body %j', async (body) => {
    expect(problemOf(await peer.send(peer.kid!, body))).toBe('400 malformed')
  })

  it('refuses a body that is not UTF-8', async () => {
    expect(problemOf(await peer.send(peer.kid!, Buffer.from([0x7b, 0xff, 0x7d])))).toBe('400 malformed')
  })

  it('refuses more than 64 KiB before it reads them', async () => {
    expect(problemOf(await peer.send(peer.kid!, '['.repeat(65_537)))).toBe('413 malformed')
  })

  it('answers every refused POST with a fresh nonce that works', async () => {
    const reply = await peer.post(peer.kid!, null, { header: { alg: 'none' } })
    const { nonce } = reply
    expect((await peer.post(peer.kid!, null, { header: { nonce } })).status).toBe(200)
  })
})

describe('RFC 8555 §6.3 POST-as-GET', () => {
  it('wants the empty payload, not {}', async () => {
    expect(problemOf(await peer.post(`${peer.kid}/orders`, {}))).toBe('400 malformed')
  })

  it('is refused where an object is wanted, and so is anything but an object', async () => {
    for (const payload of [null, [], 'text', 7]) {
      expect(problemOf(await peer.post(`${BASE}/new-order`, payload))).toBe('400 malformed')
    }
  })

  it('reads the directory and gets a nonce', async () => {
    expect((await peer.post(`${BASE}/directory`, null)).json.newNonce).toBe(`${BASE}/new-nonce`)
    expect((await peer.post(`${BASE}/new-nonce`, null)).status).toBe(204)
  })
})

describe('RFC 8555 §6.5 nonces', () => {
  it('works once', async () => {
    const header = { nonce: await peer.nonce() }
    expect((await peer.post(peer.kid!, null, { header })).status).toBe(200)
    const second = await peer.post(peer.kid!, null, { header })
    expect(problemOf(second)).toBe('400 badNonce')
    // Nothing else tells acme.sh that it may repeat.
    expect(second.json.detail).toContain('JWS has an invalid anti-replay nonce')
    expect(second.headers['Replay-Nonce']).toMatch(/^[\w-]{22}$/)
  })

  it('is forgotten after its lifetime', async () => {
    const header = { nonce: await peer.nonce() }
    await world.clock.advance(3_600_000)
    expect(problemOf(await peer.post(peer.kid!, null, { header }))).toBe('400 badNonce')
  })

  it('is not spent on a request that is refused before it', async () => {
    const nonce = await peer.nonce()
    await peer.post(peer.kid!, null, { header: { nonce, url: `${BASE}/new-order` } })
    expect((await peer.post(peer.kid!, null, { header: { nonce } })).status).toBe(200)
  })
})

describe('the endpoint table', () => {
  it('answers 404 malformed where there is nothing', async () => {
    for (const path of ['/', '/nothing', '/order', '/order/', '/order/a/b', '/order/%41', '/directory/']) {
      expect(problemOf(await ask(world.server, 'GET', BASE + path))).toBe('404 malformed')
    }
    expect(problemOf(await ask(world.server, 'GET', 'https://acme.isp.example/directory'))).toBe('404 malformed')
  })

  it('answers 405 malformed with Allow to a verb the row does not have', async () => {
    const reply = await ask(world.server, 'GET', `${BASE}/new-order`)
    expect(problemOf(reply)).toBe('405 malformed')
    expect(reply.headers['Allow']).toBe('POST')
    const other = await ask(world.server, 'DELETE', `${BASE}/new-nonce`)
    expect(other.headers['Allow']).toBe('HEAD, GET, POST')
  })

  it('hides what went wrong inside, but not that something did', async () => {
    const broken = createWorld({ certificates: { read: () => Promise.reject(new Error('password=hunter2')) } })
    const reply = await ask(broken.server, 'GET', `${BASE}/cert/c1`)
    expect(problemOf(reply)).toBe('500 serverInternal')
    expect(reply.text).not.toContain('hunter2')
  })
})
