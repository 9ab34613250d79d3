import { describe, expect, it } from 'vitest'
import { recordsToSet } from '../../../src/operator/dns/records-to-set.ts'

const dnsServer = { listen: [{ host: '192.0.2.10', port: 53 }], ns: 'acme-ns.isp.example' }
const name = 'cpe.isp.example'
const challengeZone = 'acme.isp.example'
const ALIAS = '_acme-challenge.NAME.cpe.isp.example. CNAME NAME.acme.isp.example.'

describe('the records an operator has to set', () => {
  it('are the delegation of the zone our server serves, and a CNAME for each router', () => {
    expect(recordsToSet({ name, challengeZone, dnsServer }).slice(1)).toEqual([
      'acme.isp.example. NS acme-ns.isp.example.',
      ALIAS,
    ])
    expect(recordsToSet({ name, dnsServer }).slice(1)).toEqual(['cpe.isp.example. NS acme-ns.isp.example.'])
    expect(recordsToSet({ name, challengeZone, hook: '/bin/hook' }).slice(1)).toEqual([ALIAS])
  })

  it('are none when the records are set in the zone itself', () => {
    expect(recordsToSet({ name, hook: '/bin/hook' })).toEqual([])
  })
})
