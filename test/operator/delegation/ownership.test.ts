import { beforeEach, describe, expect, it } from 'vitest'
import { toBase64url } from '../../../src/core/bytes.ts'
import { createRevocations } from '../../../src/operator/delegation/revocations.ts'
import { BY, createWorld, DAY_MS } from './world.ts'

const HOME = 'home.cpe.example'
let world: ReturnType<typeof createWorld>
beforeEach(async () => {
  world = createWorld()
  await world.enrolled('home', 'old')
  await world.publications.insert('certificate', { notAfterMs: world.clock.nowMs() + 5 * DAY_MS })
  await world.order('star', { account: 'old', status: 'valid', certificate: 'certificate' })
  await world.order('waiting', { account: 'old', status: 'processing' })
  world.events.length = 0
})

const statusOf = async (order: string) => (await world.orders.find(order))!.row.status
const accountStatus = async (id: string) => (await world.accounts.find(id))!.row.status
const keyOf = async (name: string) => {
  const found = await world.registry.externalAccounts.find(name)
  return found && toBase64url(found.key)
}

describe('revoking a device', () => {
  const revoke = () => world.registry.revoke('home', { reason: 'keyCompromise', by: BY })

  it('ends its name, its key, its account and its orders, and says how long its certificate may be believed', async () => {
    expect(await revoke()).toEqual({ name: HOME, usableUntilMs: world.clock.nowMs() + 5 * DAY_MS })
    const { delegations, externalAccounts } = world.registry
    expect(await delegations.find('old', HOME)).toBeUndefined()
    expect(await delegations.list('old', { limit: 10 })).toEqual({ ids: [] })
    expect(await externalAccounts.find(HOME)).toBeUndefined()
    expect(await externalAccounts.bind(HOME, 'new')).toBe(false)
    expect(await accountStatus('old')).toBe('revoked')
    expect([await statusOf('star'), await statusOf('waiting')]).toEqual(['canceled', 'invalid'])
    expect(world.events).toEqual([{ event: 'device-revoked', by: BY, device: HOME, reason: 'keyCompromise' }])
  })

  it('can be repeated: the same answer, on record once', async () => {
    const first = await revoke()
    expect(await revoke()).toEqual(first)
    expect(world.events.length).toBe(1)
    world.clock.step(6 * DAY_MS)
    expect(await revoke()).toEqual({ name: HOME })
  })

  it('completes what a crash left open', async () => {
    const { replace } = world.accounts
    world.accounts.replace = () => Promise.reject(new Error('killed'))
    await expect(revoke()).rejects.toThrow('killed')
    expect(await world.registry.delegations.find('old', HOME)).toBeUndefined()
    expect(await accountStatus('old')).toBe('valid')
    world.accounts.replace = replace
    await expect(world.registry.remove(HOME, { by: BY })).rejects.toThrow('not completed')
    expect((await revoke()).usableUntilMs).toBe(world.clock.nowMs() + 5 * DAY_MS)
    expect([await accountStatus('old'), await statusOf('star')]).toEqual(['revoked', 'canceled'])
  })

  it('does not happen when it cannot be put on record', async () => {
    world.audit.record = () => Promise.reject(new Error('no log'))
    await expect(revoke()).rejects.toThrow('no log')
    expect(await accountStatus('old')).toBe('valid')
  })

  it('works for a router that never enrolled, and not for one that does not exist', async () => {
    await world.registry.add({ names: ['never'], by: BY })
    expect(await world.registry.revoke('never', { reason: 'superseded', by: BY })).toEqual({
      name: 'never.cpe.example',
    })
    await expect(world.registry.revoke('nobody', { reason: 'superseded', by: BY })).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it('is for good: no rotation, no transfer, no other device of the same name before it is removed', async () => {
    await revoke()
    for (const again of [
      world.registry.rotate(HOME, { by: BY }),
      world.registry.transfer(HOME, { by: BY }),
      world.registry.add({ names: [HOME], by: BY }),
    ])
      await expect(again).rejects.toMatchObject({ code: 'CONFLICT' })
  })
})

describe('removing a device', () => {
  it('waits until it is revoked and no certificate for its name can be valid', async () => {
    const remove = () => world.registry.remove('home', { by: BY })
    await expect(remove()).rejects.toThrow('revoke it first')
    await world.registry.revoke('home', { reason: 'cessationOfOperation', by: BY })
    await expect(remove()).rejects.toThrow('is valid until')
    world.clock.step(5 * DAY_MS)
    await remove()
    expect(await world.registry.find(HOME)).toBeUndefined()
    expect(world.events.at(-1)).toEqual({ event: 'device-removed', by: BY, device: HOME })
    // The account stays blocked whoever gets the name next.
    expect(await accountStatus('old')).toBe('revoked')
  })
})

describe('rotating a key', () => {
  it('lets the account go on until another has used the new key, and then ends it', async () => {
    const { eab } = await world.registry.rotate('home', { by: BY })
    const { delegations, externalAccounts } = world.registry
    expect(await keyOf(HOME)).toBe(eab.key)
    expect(await delegations.find('old', HOME)).toBeDefined()
    expect((await externalAccounts.find(HOME))?.boundTo).toBeUndefined()

    expect(await externalAccounts.bind(HOME, 'new')).toBe(true)
    expect(await delegations.find('old', HOME)).toBeUndefined()
    expect(await delegations.find('new', HOME)).toBeDefined()
    expect([await accountStatus('old'), await statusOf('star')]).toEqual(['revoked', 'canceled'])
    expect(await externalAccounts.bind(HOME, 'third')).toBe(false)
    expect(world.events.map(({ event }) => event)).toEqual(['device-rotated', 'device-enrolled'])
  })

  it('ends the account at once when told to', async () => {
    const rotated = await world.registry.rotate('home', { now: true, by: BY })
    expect(rotated.usableUntilMs).toBe(world.clock.nowMs() + 5 * DAY_MS)
    expect([await accountStatus('old'), await statusOf('star')]).toEqual(['revoked', 'canceled'])
    expect(await world.registry.delegations.find('old', HOME)).toBeUndefined()
    expect(await world.registry.externalAccounts.bind(HOME, 'new')).toBe(true)
  })

  it('ends the account also when the service was killed right after the new key was used', async () => {
    await world.registry.rotate('home', { by: BY })
    const { replace } = world.accounts
    world.accounts.replace = () => Promise.reject(new Error('killed'))
    await expect(world.registry.externalAccounts.bind(HOME, 'new')).rejects.toThrow('killed')
    world.accounts.replace = replace
    // The router asks again.
    expect(await world.registry.externalAccounts.bind(HOME, 'new')).toBe(true)
    expect([await accountStatus('old'), await statusOf('star')]).toEqual(['revoked', 'canceled'])
  })

  it('of a router that has not enrolled just replaces the key', async () => {
    const [device] = await world.registry.add({ names: ['never'], by: BY })
    const rotated = await world.registry.rotate('never', { by: BY })
    expect(rotated.eab.key).not.toBe(device!.eab.key)
    expect(await keyOf('never.cpe.example')).toBe(rotated.eab.key)
  })
})

describe('transferring a device', () => {
  it('gives the new owner a key and the old one nothing', async () => {
    const { eab, usableUntilMs } = await world.registry.transfer('home', { by: BY })
    expect(usableUntilMs).toBe(world.clock.nowMs() + 5 * DAY_MS)
    expect(await keyOf(HOME)).toBe(eab.key)
    expect(await world.registry.delegations.find('old', HOME)).toBeUndefined()
    expect([await accountStatus('old'), await statusOf('star')]).toEqual(['revoked', 'canceled'])
    expect((await world.standing((await world.registry.find(HOME))!)).state).toBe('waiting')
    expect(await world.registry.externalAccounts.bind(HOME, 'new')).toBe(true)
  })
})

describe('the publisher’s part', () => {
  it('ends every order, also when the CA of one cannot be told; repeating it completes the rest', async () => {
    await world.order('single', { account: 'old', status: 'valid', star: false, certificate: 'certificate' })
    const told: string[] = []
    let isOut = true
    const revocations = createRevocations({
      ...world,
      async cancelPublication(id) {
        if (isOut && id === 'single') throw new Error('the CA is out')
        told.push(id)
        return undefined
      },
    })
    expect(await revocations.end('old', 'keyCompromise')).toEqual({
      usableUntilMs: world.clock.nowMs() + 5 * DAY_MS,
      unfinished: 'the CA is out',
    })
    expect(told).toEqual(['star', 'waiting'])
    expect([await statusOf('star'), await statusOf('waiting')]).toEqual(['canceled', 'invalid'])
    isOut = false
    expect(await revocations.end('old', 'keyCompromise')).toEqual({})
    expect(told).toContain('single')
  })
})

describe('a certificate that does not renew by itself, while the service is stopped', () => {
  beforeEach(() => world.order('single', { account: 'old', status: 'valid', star: false, certificate: 'certificate' }))
  const revoke = () => world.registry.revoke('home', { reason: 'keyCompromise', by: BY })

  it('is not said to be revoked, and the device is not removed before it is', async () => {
    const unfinished = 'only the running service revokes at the CA'
    expect(await revoke()).toMatchObject({ unfinished })
    expect(await revoke()).toMatchObject({ unfinished })
    expect([await accountStatus('old'), await statusOf('star')]).toEqual(['revoked', 'canceled'])
    await expect(world.registry.remove('home', { by: BY })).rejects.toThrow('not completed')
    world.clock.step(6 * DAY_MS)
    expect(await revoke()).toEqual({ name: HOME })
    await world.registry.remove('home', { by: BY })
  })

  it('keeps nobody from handing out the new key, and from using it', async () => {
    const rotated = await world.registry.rotate('home', { now: true, by: BY })
    expect(rotated).toMatchObject({ unfinished: expect.any(String) as string, eab: { kid: HOME } })
    expect(await world.registry.externalAccounts.bind(HOME, 'new')).toBe(true)
    const again = await world.registry.transfer('home', { by: BY })
    expect(again.unfinished).toBeDefined()
    expect((await world.registry.find(HOME))!.row.former).toEqual(['old'])
  })
})

describe('how a router stands', () => {
  const state = async (name: string) => world.standing((await world.registry.find(name))!)

  it('is told from its enrolment, its orders and its certificate', async () => {
    await world.registry.add({ names: ['never'], by: BY })
    expect(await state('never')).toEqual({ state: 'waiting' })
    expect(await state('home')).toEqual({ state: 'valid', validUntilMs: world.clock.nowMs() + 5 * DAY_MS })
    await world.enrolled('new', 'account-new')
    expect(await state('new')).toEqual({ state: 'enrolled' })
    await world.order('failed', { account: 'account-new', status: 'invalid' })
    expect(await state('new')).toEqual({ state: 'failed' })
    await world.registry.revoke('home', { reason: 'superseded', by: BY })
    expect(await state('home')).toEqual({ state: 'revoked', validUntilMs: world.clock.nowMs() + 5 * DAY_MS })
  })

  it('is failed when its certificate ran out', async () => {
    await world.revocations.cancel('waiting', 'superseded')
    world.clock.step(6 * DAY_MS)
    expect(await state('home')).toEqual({ state: 'failed' })
  })
})

describe('cancelling an order', () => {
  it('ends its renewals, once, and says how long its certificate is valid', async () => {
    const untilMs = world.clock.nowMs() + 5 * DAY_MS
    expect(await world.revocations.cancel('star', 'superseded')).toMatchObject({
      usableUntilMs: untilMs,
    })
    expect(await world.revocations.cancel('star', 'superseded')).toMatchObject({
      usableUntilMs: untilMs,
    })
    expect(await statusOf('star')).toBe('canceled')
  })

  it('fails one that is under way, and refuses one that is over or does not renew', async () => {
    await world.revocations.cancel('waiting', 'superseded')
    expect((await world.orders.find('waiting'))!.row).toMatchObject({ status: 'invalid', error: { status: 403 } })
    await expect(world.revocations.cancel('waiting', 'superseded')).rejects.toMatchObject({ code: 'CONFLICT' })
    await world.order('single', { account: 'old', status: 'valid', star: false })
    await expect(world.revocations.cancel('single', 'superseded')).rejects.toThrow('does not renew')
    await expect(world.revocations.cancel('none', 'superseded')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})
