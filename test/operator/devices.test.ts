import { describe, expect, it } from 'vitest'
import { fromBase64url } from '../../src/core/bytes.ts'
import { type DeviceRow, deviceRegistry } from '../../src/operator/delegation/devices.ts'
import { templateFor } from '../../src/operator/delegation/template.ts'
import { createCsr, parseCsr } from '../../src/pki/csr.ts'
import { planCsr } from '../../src/pki/csr-template.ts'
import { generateKey } from '../../src/pki/key.ts'
import { memoryTable } from '../../src/store/memory.ts'
import { ManualClock } from '../support/manual-clock.ts'

function createRegistry() {
  return deviceRegistry({
    devices: memoryTable<DeviceRow>(),
    zone: 'cpe.example',
    namePattern: 'cpe-*',
    templateFor: (name) => templateFor(name, ['p256', 'rsa2048']),
    clock: new ManualClock(),
  })
}

describe('registering routers', () => {
  it('makes a random name and a key of 256 bits for each', async () => {
    const registry = createRegistry()
    const devices = await Promise.all(Array.from({ length: 20 }, () => registry.add()))
    expect(new Set(devices.map(({ name }) => name)).size).toBe(20)
    for (const { name, eab } of devices) {
      expect(name).toMatch(/^cpe-[0-9a-f]{10}\.cpe\.example$/)
      expect([eab.kid, fromBase64url(eab.key)?.length]).toEqual([name, 32])
    }
  })

  it('takes a name of the operator’s choice once, and only under its zone', async () => {
    const registry = createRegistry()
    expect((await registry.add('home.cpe.example')).name).toBe('home.cpe.example')
    await expect(registry.add('home.cpe.example')).rejects.toMatchObject({ code: 'USAGE' })
    expect((await registry.add('Office.CPE.example')).name).toBe('office.cpe.example')
    for (const name of ['*.cpe.example', '.cpe.example', 'a b.cpe.example', 'a.b.cpe.example', 'cpe.example'])
      await expect(registry.add(name), name).rejects.toMatchObject({ code: 'USAGE' })
    await expect(registry.add('home.other.example')).rejects.toMatchObject({ code: 'USAGE' })
  })
})

describe('external account binding (RFC 8555 §7.3.4)', () => {
  it('ties a kid to the first account that uses it, and to no other', async () => {
    const registry = createRegistry()
    const { name } = await registry.add()
    const { externalAccounts } = registry
    expect(await externalAccounts.bind(name, 'a')).toBe(true)
    expect(await externalAccounts.bind(name, 'a')).toBe(true)
    expect(await externalAccounts.bind(name, 'b')).toBe(false)
    expect(await externalAccounts.bind('unknown.cpe.example', 'b')).toBe(false)
    expect((await externalAccounts.find(name))?.boundTo).toBe('a')
    expect(await externalAccounts.find('unknown.cpe.example')).toBeUndefined()
  })

  it('lets one of many simultaneous accounts have it', async () => {
    const registry = createRegistry()
    const { name } = await registry.add()
    const won = await Promise.all(Array.from({ length: 10 }, (_, n) => registry.externalAccounts.bind(name, `a${n}`)))
    expect(won.filter(Boolean).length).toBe(1)
  })
})

describe('delegations (RFC 9115 §2.3.1)', () => {
  it('are shown to the account of the device and to nobody else, in pages', async () => {
    const registry = createRegistry()
    const names = (await Promise.all(Array.from({ length: 5 }, () => registry.add())))
      .map(({ name }) => name)
      .toSorted()
    for (const name of names) await registry.externalAccounts.bind(name, 'a')
    const { delegations } = registry
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
    const registry = createRegistry()
    const { name } = await registry.add()
    const request = async (dnsName: string) => {
      const plan = planCsr(templateFor(dnsName, ['p256']), [dnsName])
      return parseCsr(await createCsr({ ...plan, keyPem: await generateKey(plan.keyType), dnsNames: [dnsName] }))
    }
    expect(await registry.delegations.checkCsr('a', name, [name], await request(name))).toEqual([])
    const problems = await registry.delegations.checkCsr('a', name, [name], await request('other.cpe.example'))
    expect(problems.map(({ identifier }) => identifier)).toContain('other.cpe.example')
    expect(await registry.delegations.checkNames('a', name, ['other.cpe.example'])).toMatchObject([
      { kind: 'rejectedIdentifier', identifier: 'other.cpe.example' },
    ])
  })
})
