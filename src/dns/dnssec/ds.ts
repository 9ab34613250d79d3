import { createHash } from 'node:crypto'
import { concatBytes, equalBytes } from '../../core/bytes.ts'
import { uint16 } from '../wire.ts'
import { isKnownAlgorithm } from './algorithm.ts'
import type { Dnskey } from './dnskey.ts'
import { type CanonicalName, octetsOf } from './name.ts'

/** RFC 4034 §5.1: the parent's word for which key opens the child zone. */
export interface Ds {
  readonly keyTag: number
  readonly algorithm: number
  readonly digestType: number
  readonly digest: Uint8Array
}

/** Undefined when the octets are no DS, or the digest has not the length of its type. */
export function parseDs(rdata: Uint8Array): Ds | undefined {
  if (rdata.length <= FIXED_BYTES) return undefined
  const digestType = rdata[3]!
  const digest = rdata.subarray(FIXED_BYTES)
  const known = DIGESTS.get(digestType)
  if (known && known.octets !== digest.length) return undefined
  return { keyTag: uint16(rdata, 0), algorithm: rdata[2]!, digestType, digest }
}
const FIXED_BYTES = 4

/**
 * Those that can lead to a key: known algorithm and digest. SHA-1 does not count beside a better digest (RFC 4509 §3).
 * None left means that the zone is unsigned as far as we can tell (RFC 4035 §5.2).
 */
export function usableDs(set: readonly Ds[]): readonly Ds[] {
  const known = set.filter(({ algorithm, digestType }) => isKnownAlgorithm(algorithm) && DIGESTS.has(digestType))
  const better = known.filter(({ digestType }) => digestType !== SHA1)
  return better.length > 0 ? better : known
}

export function isKnownDigest(digestType: number): boolean {
  return DIGESTS.has(digestType)
}

/** RFC 4034 §5.1.4: digest(owner | DNSKEY RDATA). */
export function isDsOf(ds: Ds, zone: CanonicalName, key: Dnskey): boolean {
  if (ds.keyTag !== key.keyTag || ds.algorithm !== key.algorithm) return false
  const digest = digestOf(ds.digestType, zone, key.rdata)
  return digest !== undefined && equalBytes(digest, ds.digest)
}

/** The DS of a key with SHA-256. */
export function dsOf(zone: CanonicalName, key: Dnskey): Ds {
  const { keyTag, algorithm, rdata } = key
  return { keyTag, algorithm, digestType: SHA256, digest: digestOf(SHA256, zone, rdata)! }
}

function digestOf(digestType: number, zone: CanonicalName, rdata: Uint8Array): Uint8Array | undefined {
  const known = DIGESTS.get(digestType)
  return (
    known &&
    createHash(known.hash)
      .update(concatBytes([octetsOf(zone), rdata]))
      .digest()
  )
}

const SHA1 = 1
const SHA256 = 2
const DIGESTS: ReadonlyMap<number, { readonly hash: string; readonly octets: number }> = new Map([
  [SHA1, { hash: 'sha1', octets: 20 }],
  [SHA256, { hash: 'sha256', octets: 32 }], // RFC 4509
  [4, { hash: 'sha384', octets: 48 }], // RFC 6605 §2
])
