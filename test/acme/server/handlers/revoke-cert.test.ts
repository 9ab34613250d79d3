import { beforeEach, describe, expect, it } from 'vitest'
import { issuedCertificates } from '../../issued.ts'
import { BASE, createWorld, enrol, NAME, problemOf, RawPeer, type World } from '../../world.ts'

const REVOKE = `${BASE}/revoke-cert`

let world: World
let peer: RawPeer
let account: string
let authority: Awaited<ReturnType<typeof issuedCertificates>>

beforeEach(async () => {
  authority = await issuedCertificates()
  world = createWorld({ issued: authority.issued })
  ;({ peer, account } = await enrol(world))
})

describe('RFC 8555 §7.6 revokeCert', () => {
  it('is for the account that ordered the certificate', async () => {
    const { id, certificate } = await authority.issue(account, [NAME])
    const reply = await peer.post(REVOKE, { certificate, reason: 1 })
    expect([reply.status, reply.text]).toEqual([200, ''])
    expect([...authority.revoked]).toEqual([[id, { reason: 'keyCompromise', account }]])
  })

  it('is for the key of the certificate, without any account', async () => {
    const { id, keyPem, certificate } = await authority.issue(account, [NAME])
    const holder = new RawPeer(world.server, keyPem)
    expect((await holder.post(REVOKE, { certificate }, { by: 'jwk' })).status).toBe(200)
    expect([...authority.revoked]).toEqual([[id, { reason: 'unspecified' }]])
  })

  it('is for an account that may have all its names', async () => {
    world = createWorld({ issued: authority.issued, preauthorized: async () => [] })
    ;({ peer } = await enrol(world))
    const { certificate } = await authority.issue('another', [NAME])
    expect((await peer.post(REVOKE, { certificate })).status).toBe(200)
  })

  it('is closed to other accounts and other keys', async () => {
    const { certificate } = await authority.issue('another', [NAME])
    expect(problemOf(await peer.post(REVOKE, { certificate }))).toBe('403 unauthorized')
    expect(problemOf(await peer.post(REVOKE, { certificate }, { by: 'jwk' }))).toBe('403 unauthorized')
    expect(authority.revoked.size).toBe(0)
  })

  it('is alreadyRevoked the second time', async () => {
    const { certificate } = await authority.issue(account, [NAME])
    await peer.post(REVOKE, { certificate })
    expect(problemOf(await peer.post(REVOKE, { certificate }))).toBe('400 alreadyRevoked')
  })

  it.each([2, 6, 7, 8, 9, 10, 11, -1, 1.5, '1', null])('refuses the reason %j', async (reason) => {
    const { certificate } = await authority.issue(account, [NAME])
    expect(problemOf(await peer.post(REVOKE, { certificate, reason }))).toBe('400 badRevocationReason')
  })

  it('does not know what was not given out here, or differs in a bit', async () => {
    const foreign = await (await issuedCertificates()).issue(account, [NAME])
    expect(problemOf(await peer.post(REVOKE, { certificate: foreign.certificate }))).toBe('404 malformed')
    const { leaf } = await authority.issue(account, [NAME])
    const changed = Buffer.from(leaf)
    changed[changed.length - 1]! ^= 1
    expect(problemOf(await peer.post(REVOKE, { certificate: changed.toString('base64url') }))).toBe('404 malformed')
  })

  it.each([undefined, 7, 'AA==', 'AAAA', ''])('refuses %j as certificate', async (certificate) => {
    expect(problemOf(await peer.post(REVOKE, { certificate }))).toBe('400 malformed')
  })

  it('knows nothing on a server that keeps no record', async () => {
    const { certificate } = await authority.issue(account, [NAME])
    world = createWorld()
    ;({ peer } = await enrol(world))
    expect(problemOf(await peer.post(REVOKE, { certificate }))).toBe('404 malformed')
  })
})
