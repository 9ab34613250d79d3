import { beforeEach, describe, expect, it } from 'vitest'
import { fromBase64url } from '../../../src/core/bytes.ts'
import { newRun } from '../../../src/operator/delegation/names.ts'
import { templateFor } from '../../../src/operator/delegation/template.ts'
import { createCsr, parseCsr } from '../../../src/pki/csr.ts'
import { planCsr } from '../../../src/pki/csr-template.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { BY, createWorld } from './world.ts'

let world: ReturnType<typeof createWorld>
beforeEach(() => {
  world = createWorld()
})
const add = (...names: string[]) => world.registry.add({ names, by: BY })

describe('registering routers', () => {
  it('makes a random name and a key of 256 bits for each', async () => {
    const devices = await world.registry.add({ count: 50, by: BY })
    expect(new Set(devices.map(({ name }) => name)).size).toBe(50)
    expect(new Set(devices.map(({ eab }) => eab.key)).size).toBe(50)
    for (const { name, eab } of devices) {
      expect(name).toMatch(/^cpe-[0-9a-f]{10}\.cpe\.example$/)
      expect([eab.kid, fromBase64url(eab.key)?.length]).toEqual([name, 32])
    }
    expect(world.events).toEqual([{ event: 'device-added', by: BY, devices: devices.map(({ name }) => name) }])
  })

  it('takes a name of the operator’s choice once, and only under its zone', async () => {
    expect((await add('home.cpe.example'))[0]!.name).toBe('home.cpe.example')
    await expect(add('home.cpe.example')).rejects.toMatchObject({ code: 'CONFLICT' })
    expect((await add('Office.CPE.example'))[0]!.name).toBe('office.cpe.example')
    expect((await add('attic'))[0]!.name).toBe('attic.cpe.example')
    for (const name of ['*.cpe.example', '.cpe.example', 'a b.cpe.example', 'a.b.cpe.example', 'cpe.example', '-a', ''])
      await expect(add(name), name).rejects.toMatchObject({ code: 'NAMES_REFUSED' })
    await expect(add('home.other.example')).rejects.toMatchObject({ code: 'NAMES_REFUSED' })
  })

  it('adds nothing when one of many names is wrong', async () => {
    await expect(add('a', 'b', 'b')).rejects.toThrow('b is given twice')
    await expect(add('a', 'b c')).rejects.toThrow('b c is not one label')
    expect(await world.registry.list({ limit: 10 })).toEqual([])
    expect(world.events).toEqual([])
  })

  it.each([
    ['00-1a-2b-3c-4d-5e', 'MAC address'],
    ['router-001a2b3c4d5e', 'MAC address'],
    ['00:1A:2B:3C:4D:5E', 'MAC address'],
    ['customer-4711008', 'long number'],
    ['0049301234567', 'MAC address or a serial number'],
    ['ada@isp.example', 'e-mail'],
  ])('refuses %s, which would be in public logs for ever', async (name, reason) => {
    await expect(add(name)).rejects.toThrow(reason)
  })

  it('takes such a name when told to, and puts that on record', async () => {
    await world.registry.add({ names: ['customer-4711008'], anyName: true, by: BY })
    expect(world.events[0]).toMatchObject({ reason: 'names were not checked for personal data' })
  })

  it('can be repeated when the answer got lost: same names, new keys, and nothing twice', async () => {
    for (const what of [{ count: 20 }, { names: ['a', 'b', 'c'] }]) {
      const run = newRun()
      const lost = await world.registry.add({ ...what, run, first: 100, by: BY })
      const again = await world.registry.add({ ...what, run, first: 100, by: BY })
      expect(again.map(({ name }) => name)).toEqual(lost.map(({ name }) => name))
      expect(again.map(({ eab }) => eab.key)).not.toEqual(lost.map(({ eab }) => eab.key))
      const { key } = (await world.registry.externalAccounts.find(again[0]!.name))!
      expect(Buffer.from(key).toString('base64url')).toBe(again[0]!.eab.key)
    }
    expect((await world.registry.list({ limit: 100 })).length).toBe(23)
    await expect(world.registry.add({ names: ['a'], run: newRun(), by: BY })).rejects.toThrow('registered already')
  })

  it('never gives a new key to a router that has used its own, however often the call is repeated', async () => {
    const run = newRun()
    await world.registry.add({ names: ['a'], run, by: BY })
    await world.registry.externalAccounts.bind('a.cpe.example', 'account')
    await expect(world.registry.add({ names: ['a'], run, by: BY })).rejects.toThrow('registered already')
  })

  it('adds 10,000 in pages within seconds', async () => {
    const run = newRun()
    for (let first = 0; first < 10_000; first += 1000) await world.registry.add({ count: 1000, run, first, by: BY })
    expect((await world.registry.list({ limit: 30_000 })).length).toBe(10_000)
  })
})

describe('external account binding (RFC 8555 §7.3.4)', () => {
  it('ties a kid to the first account that uses it, and to no other', async () => {
    const { name } = (await add('home'))[0]!
    const { externalAccounts } = world.registry
    expect(await externalAccounts.bind(name, 'a')).toBe(true)
    expect(await externalAccounts.bind(name, 'a')).toBe(true)
    expect(await externalAccounts.bind(name, 'b')).toBe(false)
    expect(await externalAccounts.bind('unknown.cpe.example', 'b')).toBe(false)
    expect((await externalAccounts.find(name))?.boundTo).toBe('a')
    expect(await externalAccounts.find('unknown.cpe.example')).toBeUndefined()
    expect(world.events.slice(1)).toEqual([{ event: 'device-enrolled', by: 'account a', account: 'a', device: name }])
  })

  it('lets one of many simultaneous accounts have it', async () => {
    const { name } = (await add('home'))[0]!
    const { externalAccounts } = world.registry
    const won = await Promise.all(Array.from({ length: 10 }, (_, n) => externalAccounts.bind(name, `a${n}`)))
    expect(won.filter(Boolean).length).toBe(1)
  })
})

describe('delegations (RFC 9115 §2.3.1)', () => {
  it('are shown to the account of the device and to nobody else, in pages', async () => {
    const names = (await world.registry.add({ count: 5, by: BY })).map(({ name }) => name).toSorted()
    for (const name of names) await world.registry.externalAccounts.bind(name, 'a')
    const { delegations } = world.registry
    const first = await delegations.list('a', { limit: 2 })
    const second = await delegations.list('a', { limit: 2, after: first.next! })
    const third = await delegations.list('a', { limit: 2, after: second.next! })
    expect([...first.ids, ...second.ids, ...third.ids]).toEqual(names)
    expect(third.next).toBeUndefined()
    expect((await delegations.list('b', { limit: 2 })).ids).toEqual([])
    expect(await delegations.find('b', names[0]!)).toBeUndefined()
    expect(await delegations.find('a', names[0]!)).toMatchObject({
      'csr-template': { extensions: { subjectAltName: { DNS: [names[0]] } } },
    })
  })

  it('take the CSR their template asks for, and refuse one for another name', async () => {
    const name = await world.enrolled('home', 'a')
    const request = async (dnsName: string) => {
      const plan = planCsr(templateFor(dnsName, ['p256']), [dnsName])
      return parseCsr(await createCsr({ ...plan, keyPem: await generateKey(plan.keyType), dnsNames: [dnsName] }))
    }
    const { delegations } = world.registry
    expect(await delegations.checkCsr('a', name, [name], await request(name))).toEqual([])
    const problems = await delegations.checkCsr('a', name, [name], await request('other.cpe.example'))
    expect(problems.map(({ identifier }) => identifier)).toContain('other.cpe.example')
    expect(await delegations.checkNames('a', name, ['other.cpe.example'])).toMatchObject([
      { kind: 'rejectedIdentifier', identifier: 'other.cpe.example' },
    ])
  })

  it('an account may have the names of its own devices without a delegation, and no others', async () => {
    await world.enrolled('home', 'a')
    const { checkOwnNames } = world.registry
    expect(await checkOwnNames('a', ['home.cpe.example'])).toEqual([])
    expect(await checkOwnNames('a', ['home.cpe.example', 'x.cpe.example'])).toMatchObject([
      { identifier: 'x.cpe.example' },
    ])
    expect(await checkOwnNames('b', ['home.cpe.example'])).toMatchObject([{ identifier: 'home.cpe.example' }])
  })
})
