import { describe, expect, it } from 'vitest'
import { challengeAlias, challengeOwner, inChallengeZone } from '../../../src/operator/dns/challenge-zone.ts'

const ZONES = { zone: 'cpe.isp.example', challengeZone: 'acme.isp.example' }

describe('a zone of its own for challenges', () => {
  it('gets the record at the label of the router', async () => {
    const done: string[] = []
    const challenges = inChallengeZone(
      {
        present: async (owner, value) => void done.push(`present ${owner} ${value}`),
        cleanup: async (owner, value) => void done.push(`cleanup ${owner} ${value}`),
      },
      ZONES,
    )
    await challenges.present('_acme-challenge.cpe-1.cpe.isp.example', 'v', new AbortController().signal)
    await challenges.cleanup('_acme-challenge.cpe-1.cpe.isp.example', 'v')
    expect(done).toEqual(['present cpe-1.acme.isp.example v', 'cleanup cpe-1.acme.isp.example v'])
  })

  it('is where the CNAME of the router leads', () => {
    expect(challengeAlias('cpe-1.cpe.isp.example', ZONES)).toBe(
      '_acme-challenge.cpe-1.cpe.isp.example. CNAME cpe-1.acme.isp.example.',
    )
  })

  it.each(['cpe.isp.example', 'cpe-1.isp.example', 'xcpe.isp.example'])('has no place for %s', (name) => {
    expect(() => challengeOwner(`_acme-challenge.${name}`, ZONES)).toThrow(`${name} is not below zone.name`)
  })
})
