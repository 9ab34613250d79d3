import { equalBytes } from '../../core/bytes.ts'
import { isKnownAlgorithm } from './algorithm.ts'
import { type Dnskey, isRevoked, isSecureEntryPoint, isZoneKey, parseDnskey, unrevoked } from './dnskey.ts'

/** Automated updates of trust anchors (RFC 5011): a function from what was known and what was seen to what is known now. */

/** RFC 5011 §4.2. The state Start is a key that is not in the list. */
export const ANCHOR_STATES = ['pending', 'valid', 'missing', 'revoked', 'removed'] as const
export type AnchorState = (typeof ANCHOR_STATES)[number]

export interface TrackedKey {
  /** DNSKEY RDATA, with the revoke bit clear. */
  readonly rdata: Uint8Array
  readonly state: AnchorState
  /** Wall clock, when it came into this state. */
  readonly sinceMs: number
}

/** How long a new key must be seen before it is believed (RFC 5011 §2.4.1), and a revoked one is kept (§2.4.2). */
export const HOLD_DOWN_MS = 30 * 86_400_000
/** Keys followed per zone. A zone that shows more is not followed further: the file stays small. */
export const TRACKED_KEYS_MAX = 16

/** The zone's key set was verified by an anchor that is valid now. `isConfigured` tells keys that need no waiting. */
export function afterKeySet(
  tracked: readonly TrackedKey[],
  seen: readonly Dnskey[],
  isConfigured: (key: Dnskey) => boolean,
  nowMs: number,
): readonly TrackedKey[] {
  const present = seen.filter((key) => {
    return isZoneKey(key) && isSecureEntryPoint(key) && !isRevoked(key) && isKnownAlgorithm(key.algorithm)
  })
  const known = tracked.flatMap((entry) => {
    const isPresent = seen.some((key) => equalBytes(unrevoked(key).rdata, entry.rdata))
    const state = isPresent ? whenSeen(entry, nowMs) : whenGone(entry, nowMs)
    return state === undefined ? [] : [state === entry.state ? entry : { ...entry, state, sinceMs: nowMs }]
  })
  const added = present
    .filter((key) => !tracked.some(({ rdata }) => equalBytes(rdata, key.rdata)))
    .map((key): TrackedKey => ({ rdata: key.rdata, state: isConfigured(key) ? 'valid' : 'pending', sinceMs: nowMs }))
  return [...known, ...added].slice(0, TRACKED_KEYS_MAX)
}

/** A key that has signed its own revocation is never believed again (RFC 5011 §2.1); one that still waited is forgotten. */
export function afterRevocation(
  tracked: readonly TrackedKey[],
  revoked: Dnskey,
  isConfigured: (key: Dnskey) => boolean,
  nowMs: number,
): readonly TrackedKey[] {
  const { rdata } = unrevoked(revoked)
  const entry = tracked.find((other) => equalBytes(other.rdata, rdata))
  if (entry?.state === 'revoked' || entry?.state === 'removed') return tracked
  const others = tracked.filter((other) => other !== entry)
  const isTrusted = entry ? entry.state !== 'pending' : isConfigured(parseDnskey(rdata)!)
  // It comes first, so that no flood of new keys pushes it out of the list.
  return isTrusted ? [{ rdata, state: 'revoked', sinceMs: nowMs }, ...others] : others
}

function whenSeen({ state, sinceMs }: TrackedKey, nowMs: number): AnchorState {
  if (state === 'pending') return nowMs - sinceMs >= HOLD_DOWN_MS ? 'valid' : 'pending'
  return state === 'missing' ? 'valid' : state
}

/** Undefined: forgotten. A removed key stays in the list, because the settings may still name it. */
function whenGone({ state, sinceMs }: TrackedKey, nowMs: number): AnchorState | undefined {
  if (state === 'pending') return undefined
  if (state === 'valid') return 'missing'
  return state === 'revoked' && nowMs - sinceMs >= HOLD_DOWN_MS ? 'removed' : state
}
