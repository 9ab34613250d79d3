import { EXTENDED_ERROR, typeName } from '../codes.ts'
import type { ExtendedError } from '../edns.ts'
import { isKnownAlgorithm, isSignature } from './algorithm.ts'
import { type Budget, KEYS_PER_TAG_MAX, SIGNATURES_PER_RRSET_MAX } from './budget.ts'
import { type Dnskey, isRevoked, isZoneKey } from './dnskey.ts'
import { ancestorOf, type CanonicalName, nameText } from './name.ts'
import { type Rrset, signedData, signedLabels } from './rrset.ts'
import type { Rrsig } from './rrsig.ts'
import { isLater } from './rrsig.ts'

export type Verified =
  | {
      readonly kind: 'secure'
      /** How long it may be believed (RFC 4035 §5.3.3). */
      readonly ttlS: number
      /** The name below which a wildcard was expanded; absent for a name that is in the zone as such. */
      readonly expandedUnder?: CanonicalName
    }
  | { readonly kind: 'bogus'; readonly error: ExtendedError }

/** Has one of the zone's keys signed the set, and does the signature count at `nowS` (RFC 4035 §5.3)? */
export function verifyRrset(
  set: Rrset,
  zone: { readonly name: CanonicalName; readonly keys: readonly Dnskey[] },
  nowS: number,
  budget: Budget,
): Verified {
  const what = `${nameText(set.name)} ${typeName(set.type)}`
  const signatures = set.signatures.filter(
    ({ signer, algorithm }) => signer === zone.name && isKnownAlgorithm(algorithm),
  )
  if (signatures.length === 0)
    return bogus(EXTENDED_ERROR.RRSIGS_MISSING, `no signature of ${nameText(zone.name)} over ${what}`)
  let reason: ExtendedError | undefined
  for (const rrsig of signatures.slice(0, SIGNATURES_PER_RRSET_MAX)) {
    const untimely = timeError(rrsig, nowS)
    if (untimely) {
      reason ??= { code: untimely, text: what }
      continue
    }
    const data = signedData(set, rrsig)
    const keys = zone.keys.filter((key) => isKeyFor(key, rrsig)).slice(0, KEYS_PER_TAG_MAX)
    for (const { algorithm, publicKey } of keys) {
      if (!data || !publicKey) continue
      if (!budget.mayCheck()) return bogus(EXTENDED_ERROR.DNSSEC_BOGUS, `too many signatures to check at ${what}`)
      if (isSignature(algorithm, publicKey, data, rrsig.signature)) return secure(set, rrsig, nowS)
      budget.failed()
    }
    reason = {
      code: EXTENDED_ERROR.DNSSEC_BOGUS,
      text: keys.length > 0 ? `wrong signature over ${what}` : `no key ${rrsig.keyTag} for ${what}`,
    }
  }
  return { kind: 'bogus', error: reason! }
}

function isKeyFor(key: Dnskey, { keyTag, algorithm }: Rrsig): boolean {
  return key.keyTag === keyTag && key.algorithm === algorithm && isZoneKey(key) && !isRevoked(key)
}

/** The extended error for a signature outside its time (RFC 4034 §3.1.5); undefined when it is within. */
function timeError({ inceptionS, expirationS }: Rrsig, nowS: number): number | undefined {
  if (isLater(inceptionS, expirationS)) return EXTENDED_ERROR.SIGNATURE_EXPIRED_BEFORE_VALID
  if (isLater(nowS, expirationS)) return EXTENDED_ERROR.SIGNATURE_EXPIRED
  if (isLater(inceptionS, nowS)) return EXTENDED_ERROR.SIGNATURE_NOT_YET_VALID
  return undefined
}

function secure(set: Rrset, rrsig: Rrsig, nowS: number): Verified {
  const ttlS = Math.min(set.ttlS, rrsig.originalTtlS, (rrsig.expirationS - nowS) >>> 0)
  return rrsig.labels === signedLabels(set.name)
    ? { kind: 'secure', ttlS }
    : { kind: 'secure', ttlS, expandedUnder: ancestorOf(set.name, rrsig.labels) }
}

function bogus(code: number, text: string): Verified {
  return { kind: 'bogus', error: { code, text } }
}

/** The key carries the revoke bit and has itself signed the set that says so (RFC 5011 §2.1). */
export function isRevokedByItself(set: Rrset, zone: CanonicalName, key: Dnskey, nowS: number, budget: Budget): boolean {
  if (!isRevoked(key) || !isZoneKey(key)) return false
  const { keyTag, algorithm, publicKey } = key
  return set.signatures
    .filter((rrsig) => rrsig.signer === zone && rrsig.keyTag === keyTag && rrsig.algorithm === algorithm)
    .slice(0, SIGNATURES_PER_RRSET_MAX)
    .some((rrsig) => {
      const data = timeError(rrsig, nowS) === undefined ? signedData(set, rrsig) : undefined
      if (!data || !publicKey || !budget.mayCheck()) return false
      return isSignature(algorithm, publicKey, data, rrsig.signature)
    })
}
