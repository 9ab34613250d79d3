import { beforeEach, describe, expect, it } from 'vitest'
import { thumbprint } from '../../../../src/acme/jws.ts'
import type { AccountKeyRow } from '../../../../src/acme/server/rows.ts'
import { memoryTable } from '../../../../src/store/memory.ts'
import { BASE, createWorld, encode, enrol, problemOf, RawPeer, type Tweaks, type World } from '../../world.ts'

const KEY_CHANGE = `${BASE}/key-change`

let world: World
let peer: RawPeer
let next: RawPeer

beforeEach(async () => {
  world = createWorld()
  ;({ peer } = await enrol(world))
  next = await RawPeer.create(world.server)
})

/** The inner JWS of RFC 8555 §7.3.5, made by the new key. */
function inner(by: RawPeer, content: object = {}, tweaks: Tweaks = {}) {
  const payload = { account: peer.kid, oldKey: peer.jwk, ...content }
  return by.jws(KEY_CHANGE, payload, { by: 'jwk', ...tweaks, header: { nonce: undefined, ...tweaks.header } })
}
const change = async (content: object = {}, tweaks: Tweaks = {}) =>
  peer.post(KEY_CHANGE, await inner(next, content, tweaks))

describe('RFC 8555 §7.3.5 keyChange', () => {
  it('gives the account the new key, and the old one works no more', async () => {
    const reply = await change()
    expect([reply.status, reply.location]).toEqual([200, peer.kid])
    next.kid = peer.kid
    expect((await next.post(peer.kid!, null)).status).toBe(200)
    expect(problemOf(await peer.post(peer.kid!, null))).toBe('400 malformed')
  })

  it('finds the account by its new key, and none by the old one', async () => {
    await change()
    const found = await next.post(`${BASE}/new-account`, { onlyReturnExisting: true }, { by: 'jwk' })
    expect([found.status, found.location]).toEqual([200, peer.kid])
    const gone = await peer.post(`${BASE}/new-account`, { onlyReturnExisting: true }, { by: 'jwk' })
    expect(problemOf(gone)).toBe('400 accountDoesNotExist')
    expect((await world.accountKeys.list({ limit: 9 })).map(({ id }) => id)).toEqual([await thumbprint(jwkOf(next))])
  })

  it('answers 409 with the account of a key that is in use', async () => {
    const other = (await enrol(world, 'd2')).peer
    const reply = await peer.post(KEY_CHANGE, await inner(other))
    expect([problemOf(reply), reply.location]).toEqual(['409 malformed', other.kid])
    const same = await peer.post(KEY_CHANGE, await inner(peer))
    expect([same.status, same.location]).toEqual([409, peer.kid])
  })

  it.each([
    ['a nonce inside', {}, { header: { nonce: 'AAAA' } }],
    ['another url inside', {}, { header: { url: `${BASE}/new-order` } }],
    ['a kid inside', {}, { header: { kid: 'x', jwk: undefined } }],
    ['another account', { account: `${BASE}/account/other` }, {}],
    ['no account', { account: undefined }, {}],
    ['a signature that is not the new key’s', {}, { jws: { signature: 'AAAA' } }],
    ['an inner payload that is no object', {}, { jws: { payload: encode('text') } }],
  ])('refuses %s', async (_, content, tweaks: Tweaks) => {
    expect(problemOf(await change(content, tweaks))).toBe('400 malformed')
    expect((await peer.post(peer.kid!, null)).status).toBe(200)
  })

  it('refuses another old key than the account has', async () => {
    expect(problemOf(await change({ oldKey: next.jwk }))).toBe('400 malformed')
    expect(problemOf(await change({ oldKey: {} }))).toBe('400 badPublicKey')
  })

  it('lets one of two changes at the same time win, and leaves one key', async () => {
    const rival = await RawPeer.create(world.server)
    const replies = await Promise.all([
      peer.post(KEY_CHANGE, await inner(next)),
      peer.post(KEY_CHANGE, await inner(rival)),
    ])
    expect(replies.filter(({ status }) => status === 200)).toHaveLength(1)
    const winner = replies[0].status === 200 ? next : rival
    winner.kid = peer.kid
    expect((await winner.post(peer.kid!, null)).status).toBe(200)
    const keys = await world.accountKeys.list({ limit: 9 })
    expect(keys.map(({ id }) => id)).toEqual([await thumbprint(jwkOf(winner))])
  })

  it('goes on where a crash after the first write left off', async () => {
    const account = peer.kid!.slice(`${BASE}/account/`.length)
    await world.accountKeys.insert(await thumbprint(jwkOf(next)), { account })
    const early = await next.post(`${BASE}/new-account`, {}, { by: 'jwk' })
    expect(problemOf(early)).toBe('403 unauthorized')
    expect((await change()).status).toBe(200)
  })

  it('keeps a retired key from being found when the last write is missing', async () => {
    const accountKeys = memoryTable<AccountKeyRow>()
    world = createWorld({ accountKeys: { ...accountKeys, remove: () => Promise.reject(new Error('crash')) } })
    ;({ peer } = await enrol(world))
    next = await RawPeer.create(world.server)
    expect((await change()).status).toBe(500)
    expect(problemOf(await peer.post(`${BASE}/new-account`, {}, { by: 'jwk' }))).toBe('403 unauthorized')
    const found = await next.post(`${BASE}/new-account`, { onlyReturnExisting: true }, { by: 'jwk' })
    expect([found.status, found.location]).toEqual([200, peer.kid])
  })

  it('is refused to a deactivated account', async () => {
    await peer.post(peer.kid!, { status: 'deactivated' })
    expect(problemOf(await change())).toBe('401 unauthorized')
  })
})

function jwkOf({ jwk }: RawPeer): Record<string, string> {
  return Object.fromEntries(Object.entries(jwk).map(([member, value]) => [member, String(value)]))
}
