import { TYPE } from '../codes.ts'
import { skipPlainName } from '../name.ts'
import { uint16, uint32 } from '../wire.ts'
import { type CanonicalName, nameAt } from './name.ts'
import { expandedRdata } from './rdata.ts'

/** RFC 4034 §3.1. Times are seconds since 1970 modulo 2^32. */
export interface Rrsig {
  readonly typeCovered: number
  readonly algorithm: number
  /** Of the name that was signed: fewer than the owner has when the owner came of a wildcard (RFC 4034 §3.1.3). */
  readonly labels: number
  readonly originalTtlS: number
  readonly expirationS: number
  readonly inceptionS: number
  readonly keyTag: number
  readonly signer: CanonicalName
  readonly signature: Uint8Array
  /** RDATA up to the signature, which is itself signed (RFC 4034 §3.1.8.1). */
  readonly signedPart: Uint8Array
}

/** Undefined when the octets are no RRSIG. The signer's name must not be compressed (RFC 4034 §3.1.7). */
export function parseRrsig(wire: Uint8Array, start: number, end: number): Rrsig | undefined {
  if (end - start <= FIXED_BYTES) return undefined
  const signatureStart = skipPlainName(wire, start + FIXED_BYTES)
  if (signatureStart < 0 || signatureStart >= end) return undefined
  const signer = nameAt(wire, start + FIXED_BYTES)
  const signedPart = expandedRdata(wire, TYPE.RRSIG, start, signatureStart, 'canonical')
  if (signer === undefined || !signedPart) return undefined
  return {
    typeCovered: uint16(wire, start),
    algorithm: wire[start + 2]!,
    labels: wire[start + 3]!,
    originalTtlS: uint32(wire, start + 4),
    expirationS: uint32(wire, start + 8),
    inceptionS: uint32(wire, start + 12),
    keyTag: uint16(wire, start + 16),
    signer,
    signature: Uint8Array.from(wire.subarray(signatureStart, end)),
    signedPart,
  }
}
/** Everything before the signer's name. */
const FIXED_BYTES = 18

/** Is `a` later than `b`, as serial numbers of 32 bits (RFC 1982 §3.2, asked for by RFC 4034 §3.1.5)? */
export function isLater(a: number, b: number): boolean {
  return ((a - b) | 0) > 0
}
