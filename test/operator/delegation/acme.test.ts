import { beforeEach, describe, expect, it } from 'vitest'
import type { NewDevice } from '../../../src/operator/delegation/device.ts'
import { createWorld as createAcmeWorld, problemOf, RawPeer } from '../../acme/world.ts'
import { BY, createWorld } from './world.ts'

const BASE = 'https://acme.isp.example/a'
const NEW_ACCOUNT = `${BASE}/new-account`
const HOME = 'home.cpe.example'

let world: ReturnType<typeof createWorld>
let acme: ReturnType<typeof createAcmeWorld>
let device: NewDevice
beforeEach(async () => {
  world = createWorld()
  const { accounts, orders, clock, registry } = world
  acme = createAcmeWorld({
    accounts,
    orders,
    clock,
    externalAccounts: registry.externalAccounts,
    delegations: registry.delegations,
  })
  device = (await registry.add({ names: ['home'], by: BY }))[0]!
})

/** A router with an account key of its own asks for an account with the key of the device. */
async function enrol({ eab }: NewDevice, peer?: RawPeer) {
  const router = peer ?? (await RawPeer.create(acme.server))
  const externalAccountBinding = router.binding(eab.kid, Buffer.from(eab.key, 'base64url'), NEW_ACCOUNT)
  const reply = await router.post(NEW_ACCOUNT, { externalAccountBinding }, { by: 'jwk' })
  if (reply.status === 201) router.kid = reply.location
  return { router, reply }
}
const delegationSeenBy = (router: RawPeer) => router.post(`${BASE}/delegation/${HOME}`, null)

describe('over ACME, a router', () => {
  it('enrols with its key and sees its delegation', async () => {
    const { router, reply } = await enrol(device)
    expect(reply.status).toBe(201)
    expect((await delegationSeenBy(router)).json).toMatchObject({
      'csr-template': { extensions: { subjectAltName: { DNS: [HOME] } } },
    })
  })

  it('that was revoked is answered with 401, and its key opens no other account', async () => {
    const { router } = await enrol(device)
    await world.registry.revoke(HOME, { reason: 'keyCompromise', by: BY })
    expect(problemOf(await delegationSeenBy(router))).toBe('401 unauthorized')
    expect(problemOf((await enrol(device, router)).reply)).toBe('401 unauthorized')
    expect(problemOf((await enrol(device)).reply)).toBe('403 unauthorized')
  })

  it('goes on after a rotation until the new key is used, and then not any more', async () => {
    const { router: old } = await enrol(device)
    const rotated = await world.registry.rotate(HOME, { by: BY })
    expect((await delegationSeenBy(old)).status).toBe(200)
    expect(problemOf((await enrol(device)).reply)).toBe('403 unauthorized')
    const { router, reply } = await enrol(rotated)
    expect(reply.status).toBe(201)
    expect((await delegationSeenBy(router)).status).toBe(200)
    expect(problemOf(await delegationSeenBy(old))).toBe('401 unauthorized')
    expect(problemOf((await enrol(rotated)).reply)).toBe('403 unauthorized')
  })

  it('of a new owner enrols with the new key alone', async () => {
    const { router: old } = await enrol(device)
    const transferred = await world.registry.transfer(HOME, { by: BY })
    expect(problemOf(await delegationSeenBy(old))).toBe('401 unauthorized')
    expect(problemOf((await enrol(device)).reply)).toBe('403 unauthorized')
    expect((await enrol(transferred)).reply.status).toBe(201)
  })
})
