import { beforeEach, describe, expect, it } from 'vitest'
import { failOrder } from '../../../../src/acme/server/order-state.ts'
import { issuedCertificates } from '../../issued.ts'
import {
  ask,
  BASE,
  createWorld,
  enrol,
  NAME,
  plainOrder,
  problemOf,
  type RawPeer,
  starOrder,
  type World,
} from '../../world.ts'

let world: World
let peer: RawPeer
let account: string
let delegation: string
let authority: Awaited<ReturnType<typeof issuedCertificates>>

beforeEach(async () => {
  authority = await issuedCertificates()
  world = createWorld({ issued: authority.issued })
  ;({ peer, account, delegation } = await enrol(world))
})

const get = (path: string) => ask(world.server, 'GET', `${BASE}${path}`)

describe('RFC 9773 §4 renewal information', () => {
  it('is in the directory, and unsigned, with a window late in the life and Retry-After in seconds', async () => {
    expect((await get('/directory')).json.renewalInfo).toBe(`${BASE}/renewal-info`)
    const { id } = await authority.issue(account, [NAME])
    const reply = await get(`/renewal-info/${id}`)
    expect(reply.status).toBe(200)
    expect(reply.json).toEqual({ suggestedWindow: { start: '2026-11-28T00:00:00Z', end: '2026-11-29T00:00:00Z' } })
    expect(reply.headers).toMatchObject({ 'Retry-After': '21600', 'Content-Type': 'application/json' })
  })

  it('is found with a doubled or a trailing slash', async () => {
    const { id } = await authority.issue(account, [NAME])
    for (const path of [`/renewal-info//${id}`, `/renewal-info/${id}/`]) expect((await get(path)).status).toBe(200)
    expect((await get('/renewal-info/')).status).toBe(404)
  })

  it('is the window of the operator where there is one, and past for what is revoked', async () => {
    const renewal = { startMs: Date.UTC(2027, 0, 1), endMs: Date.UTC(2027, 0, 2) }
    const { id } = await authority.issue(account, [NAME], { renewal })
    expect((await get(`/renewal-info/${id}`)).json.suggestedWindow.start).toBe('2027-01-01T00:00:00Z')
    await authority.issued.revoke(id, { reason: 'unspecified' })
    const { start, end } = (await get(`/renewal-info/${id}`)).json.suggestedWindow
    expect(Date.parse(start)).toBeLessThan(Date.parse(end))
    expect(Date.parse(end)).toBeLessThan(world.clock.nowMs())
  })

  it('is 404 for what is unknown or renews by itself', async () => {
    const { id } = await authority.issue(account, [NAME], { star: true })
    for (const one of [id, 'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE'])
      expect(problemOf(await get(`/renewal-info/${one}`))).toBe('404 malformed')
  })
})

describe('RFC 9773 §5 replaces', () => {
  const place = (replaces: unknown) => peer.post(`${BASE}/new-order`, plainOrder(delegation, { replaces }))

  it('is echoed, and 409 alreadyReplaced the second time', async () => {
    const { id } = await authority.issue(account, [NAME])
    expect(await place(id)).toMatchObject({ status: 201, json: { replaces: id } })
    expect(problemOf(await place(id))).toBe('409 alreadyReplaced')
  })

  it('is free again when the order that had it has failed', async () => {
    const { id } = await authority.issue(account, [NAME])
    const first = await place(id)
    const error = { type: 'urn:ietf:params:acme:error:serverInternal', detail: 'no authority', status: 500 }
    await failOrder(world.orders, first.location.slice(`${BASE}/order/`.length), error)
    expect((await place(id)).status).toBe(201)
    expect((await place(id)).status).toBe(409)
  })

  it('lets one of two orders at the same time have it', async () => {
    const { id } = await authority.issue(account, [NAME])
    const replies = await Promise.all([place(id), place(id)])
    expect(replies.map(({ status }) => status).sort((a, b) => a - b)).toEqual([201, 409])
  })

  it('must be a certificate of this account, with a name of the order, that does not renew by itself', async () => {
    const foreign = await authority.issue('another', [NAME])
    expect(problemOf(await place(foreign.id))).toBe('403 unauthorized')
    const others = [
      (await authority.issue(account, ['cpe9.isp.example'])).id,
      (await authority.issue(account, [NAME], { star: true })).id,
      'unknown.id',
      7,
    ]
    for (const replaces of others) expect(problemOf(await place(replaces))).toBe('400 malformed')
    const { id } = await authority.issue(account, [NAME])
    const star = await peer.post(`${BASE}/new-order`, starOrder(world, delegation, { replaces: id }))
    expect(problemOf(star)).toBe('400 malformed')
  })

  it('is not known to a server without renewal information', async () => {
    world = createWorld()
    ;({ peer, delegation } = await enrol(world))
    const reply = await place('anything')
    expect(reply.status).toBe(201)
    expect(reply.json).not.toHaveProperty('replaces')
  })
})
