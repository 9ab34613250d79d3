import type { KeyObject } from 'node:crypto'
import { uint16 } from '../wire.ts'
import { importKey } from './algorithm.ts'

/** RFC 4034 §2.1. */
export interface Dnskey {
  readonly flags: number
  readonly protocol: number
  readonly algorithm: number
  readonly keyTag: number
  readonly rdata: Uint8Array
  /** Undefined when node:crypto cannot use it. Made when first asked for. */
  readonly publicKey: KeyObject | undefined
}

const ZONE_KEY = 0x0100
const REVOKED = 0x0080
const SECURE_ENTRY_POINT = 0x0001
const FIXED_BYTES = 4
/** The one value there is (RFC 4034 §2.1.2). */
const PROTOCOL = 3

/** Undefined when the octets are no DNSKEY. */
export function parseDnskey(rdata: Uint8Array): Dnskey | undefined {
  if (rdata.length <= FIXED_BYTES) return undefined
  let publicKey: KeyObject | 'not-made' | undefined = 'not-made'
  return {
    flags: uint16(rdata, 0),
    protocol: rdata[2]!,
    algorithm: rdata[3]!,
    keyTag: keyTagOf(rdata),
    rdata,
    get publicKey() {
      if (publicKey === 'not-made') publicKey = importKey(rdata[3]!, rdata.subarray(FIXED_BYTES))
      return publicKey
    },
  }
}

/** RFC 4034 appendix B; algorithm 1, which has a rule of its own, is not used any more. */
export function keyTagOf(rdata: Uint8Array): number {
  let sum = 0
  for (let at = 0; at < rdata.length; at++) sum += at % 2 === 0 ? rdata[at]! << 8 : rdata[at]!
  return (sum + (sum >>> 16)) & 0xffff
}

/** Keys without the bit are not the zone's (RFC 4034 §2.1.1). */
export function isZoneKey(key: Pick<Dnskey, 'flags' | 'protocol'>): boolean {
  return (key.flags & ZONE_KEY) !== 0 && key.protocol === PROTOCOL
}

/** A revoked key proves nothing but its own revocation (RFC 5011 §2.1). */
export function isRevoked(key: Pick<Dnskey, 'flags'>): boolean {
  return (key.flags & REVOKED) !== 0
}

/** A hint that the key is meant to be a trust anchor (RFC 4034 §2.1.1, RFC 5011 §2.2). */
export function isSecureEntryPoint(key: Pick<Dnskey, 'flags'>): boolean {
  return (key.flags & SECURE_ENTRY_POINT) !== 0
}

/** The same key before it was revoked: the bit changes the tag and every digest (RFC 5011 §2.1). */
export function unrevoked(key: Dnskey): Dnskey {
  const rdata = Uint8Array.from(key.rdata)
  rdata[1] = rdata[1]! & ~REVOKED
  return parseDnskey(rdata)!
}
