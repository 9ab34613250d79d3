import { describe, expect, it } from 'vitest'
import { parseSettings } from '../../../src/core/settings.ts'
import { PROTECTION_SETTINGS, protectionConfigOf } from '../../../src/router/settings/protection.ts'

const configOf = (text: string) => protectionConfigOf(parseSettings(PROTECTION_SETTINGS, text, 'p.yaml'))

describe('protection', () => {
  it('is on, and takes names with a star too', () => {
    expect(configOf('rebinding: { allow: ["*.plex.direct", Home.Example, lan] }')).toEqual({
      rebinding: { exempt: ['plex.direct', 'home.example', 'lan'], loopbackAllowed: false },
      rateLimit: { perSecond: 200, burst: 1000, openMax: 512, exempt: ['127.0.0.0/8', '::1'] },
    })
  })

  it('can be switched off, each by itself', () => {
    expect(configOf('{ rebinding: { enabled: false }, rate-limit: { enabled: false } }')).toEqual({})
  })

  it.each([
    ['rebinding: { allow: ["*."] }', 'p.yaml:1:22 rebinding.allow.0: expected a domain name'],
    ['rebinding: { allow: ["a.*.b"] }', 'p.yaml:1:22 rebinding.allow.0: expected a domain name'],
    ['rate-limit: { queries-per-second: 0 }', 'expected a whole number from 1 to 1000000, got 0'],
    ['rate-limit: { exempt: [home] }', 'expected lan, an address or a prefix'],
  ])('%s is refused', (text, problem) => expect(() => configOf(text)).toThrow(problem))
})
