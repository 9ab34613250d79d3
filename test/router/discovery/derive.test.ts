import { describe, expect, it } from 'vitest'
import { advertisement } from '../../../src/router/discovery/advertisement.ts'
import { derivePresence } from '../../../src/router/discovery/derive.ts'
import { mayDesignate } from '../../../src/router/discovery/presence.ts'
import type { Transport } from '../../../src/router/resolve/resolver.ts'
import { TestAuthority } from '../../support/tls.ts'

const SETTINGS = { name: 'dns.test', ddr: 'auto' } as const
const NOW_MS = Date.UTC(2026, 10, 24)
const authority = await TestAuthority.create(NOW_MS)
const { chain } = await authority.leaf({ dnsNames: ['dns.test'] })
const identity = { names: ['dns.test'], chain, notBeforeMs: NOW_MS, notAfterMs: NOW_MS + 3_600_000, renewAtMs: NOW_MS }

const at = (transport: Transport, host: string, port: number) => ({ transport, endpoint: { host, port } })
const lan = [at('tcp', '192.168.1.1', 53), at('tcp', 'fd00::1', 53)]
const derive = (listeners: Parameters<typeof derivePresence>[1], settings = {}) =>
  derivePresence({ ...SETTINGS, ...settings }, listeners, identity)

describe('an encrypted endpoint', () => {
  it('is named where it answers at every address clients ask', () => {
    const presence = derive([...lan, at('dot', '::', 853), at('doh', '192.168.1.1', 443), at('doh', 'fd00::1', 443)])
    expect(presence.addresses).toEqual(['192.168.1.1', 'fd00::1'])
    expect(presence.endpoints.map(({ port }) => port)).toEqual([853, 443])
    expect(mayDesignate(presence)).toBe(true)
  })

  it('is not named when it listens elsewhere, at one of them only, or there on another port', () => {
    for (const dot of [
      [at('dot', '127.0.0.1', 8853)],
      [at('dot', '192.168.1.1', 853)],
      [at('dot', '0.0.0.0', 853)],
      [at('dot', '192.168.1.1', 853), at('dot', 'fd00::1', 8853)],
    ])
      expect(derive([...lan, ...dot]).endpoints, JSON.stringify(dot)).toEqual([])
    expect(advertisement(derive(lan)).withheld).toContain('neither DoT nor DoH listens')
  })

  it('is named at addresses from the settings as it is', () => {
    const presence = derive([at('tcp', '0.0.0.0', 53), at('dot', '172.17.0.2', 853)], { addresses: ['192.168.1.1'] })
    expect(presence.endpoints.map(({ port }) => port)).toEqual([853])
  })
})

it('without DDR by the settings everything else is advertised', () => {
  const presence = derive([...lan, at('dot', '::', 853)], { ddr: 'off' })
  expect(mayDesignate(presence)).toBe(false)
  expect(advertisement(presence)).toMatchObject({ ddr: false, withheld: 'DDR: switched off in the settings' })
  expect(advertisement(presence).svcb.length).toBe(1)
})
