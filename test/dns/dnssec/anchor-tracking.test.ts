import { describe, expect, it } from 'vitest'
import {
  afterKeySet,
  afterRevocation,
  HOLD_DOWN_MS,
  TRACKED_KEYS_MAX,
  type TrackedKey,
} from '../../../src/dns/dnssec/anchor-tracking.ts'
import type { Dnskey } from '../../../src/dns/dnssec/dnskey.ts'
import { makeKey, withFlags } from '../../support/signed-zone.ts'

const [old, young] = [makeKey(15), makeKey(15)]
const isConfigured = (key: Dnskey): boolean => key.keyTag === old.dnskey.keyTag
const seen = (...keys: { dnskey: Dnskey }[]): Dnskey[] => keys.map(({ dnskey }) => dnskey)
const statesOf = (tracked: readonly TrackedKey[]): string[] => tracked.map(({ state }) => state)

describe('a roll-over (RFC 5011 §4.2)', () => {
  const first = afterKeySet([], seen(old), isConfigured, 0)
  const announced = afterKeySet(first, seen(old, young), isConfigured, 10)

  it('a configured key is valid at once, a new one waits', () => {
    expect([statesOf(first), statesOf(announced)]).toEqual([['valid'], ['valid', 'pending']])
  })
  it('a new key is believed after 30 days in which it was always there', () => {
    const early = afterKeySet(announced, seen(old, young), isConfigured, 9 + HOLD_DOWN_MS)
    expect(statesOf(early)).toEqual(['valid', 'pending'])
    expect(statesOf(afterKeySet(early, seen(old, young), isConfigured, 10 + HOLD_DOWN_MS))).toEqual(['valid', 'valid'])
  })
  it('a new key that was gone in between waits anew', () => {
    const gone = afterKeySet(announced, seen(old), isConfigured, 20)
    expect(statesOf(gone)).toEqual(['valid'])
    const again = afterKeySet(gone, seen(old, young), isConfigured, 30)
    expect(statesOf(afterKeySet(again, seen(old, young), isConfigured, 20 + HOLD_DOWN_MS))).toEqual([
      'valid',
      'pending',
    ])
  })
  it('a valid key that is gone is missing, and valid when it comes back', () => {
    const gone = afterKeySet(first, seen(young), isConfigured, 20)
    expect(statesOf(gone)).toEqual(['missing', 'pending'])
    expect(statesOf(afterKeySet(gone, seen(old), isConfigured, 30))).toEqual(['valid'])
  })
  it('a revoked key is never valid again, and removed after 30 days', () => {
    const revokedKey = withFlags(old, 0x0181).dnskey
    const revoked = afterRevocation(announced, revokedKey, isConfigured, 20)
    expect(statesOf(revoked)).toEqual(['revoked', 'pending'])
    expect(afterRevocation(revoked, revokedKey, isConfigured, 25)).toBe(revoked)
    const back = afterKeySet(revoked, seen(old, young), isConfigured, 30)
    expect(statesOf(back)).toEqual(['revoked', 'pending'])
    const later = afterKeySet(back, seen(young), isConfigured, 21 + HOLD_DOWN_MS)
    expect(statesOf(later)).toEqual(['removed', 'valid'])
    expect(statesOf(afterKeySet(later, seen(old, young), isConfigured, 30 + HOLD_DOWN_MS))).toEqual([
      'removed',
      'valid',
    ])
  })
  it('a configured key that was revoked before we ever saw it is not believed', () => {
    expect(statesOf(afterRevocation([], withFlags(old, 0x0181).dnskey, isConfigured, 0))).toEqual(['revoked'])
    expect(afterRevocation([], withFlags(young, 0x0181).dnskey, isConfigured, 0)).toEqual([])
  })
  it('only keys with the entry point bit are followed, and of them a bounded number', () => {
    expect(afterKeySet([], seen(withFlags(young, 0x0100)), isConfigured, 0)).toEqual([])
    const flood = seen(old, ...Array.from({ length: 40 }, () => makeKey(15)))
    expect(afterKeySet(first, flood, isConfigured, 0)).toHaveLength(TRACKED_KEYS_MAX)
  })
  it('nothing new leaves every entry as it was', () => {
    const again = afterKeySet(announced, seen(old, young), isConfigured, 50)
    expect(again.every((entry, index) => entry === announced[index])).toBe(true)
  })
})
