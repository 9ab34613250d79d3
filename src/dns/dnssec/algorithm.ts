import { createPublicKey, type KeyObject, verify } from 'node:crypto'
import { toBase64url } from '../../core/bytes.ts'

/**
 * The signature algorithms we know, by their number (RFC 8624 §3.1). Those with SHA-1 (5, 7) are not among them: a zone
 * that has no other counts as unsigned (RFC 4035 §5.2), as with every algorithm nobody has heard of.
 */
export function isKnownAlgorithm(algorithm: number): boolean {
  return ALGORITHMS.has(algorithm)
}

/** Undefined when the octets are no key of this algorithm, or one we do not touch. */
export function importKey(algorithm: number, octets: Uint8Array): KeyObject | undefined {
  try {
    const jwk = ALGORITHMS.get(algorithm)?.jwk(octets)
    return jwk && createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

export function isSignature(algorithm: number, key: KeyObject, data: Uint8Array, signature: Uint8Array): boolean {
  const known = ALGORITHMS.get(algorithm)
  if (!known) return false
  try {
    return verify(known.hash, data, { key, dsaEncoding: 'ieee-p1363' }, signature)
  } catch {
    return false
  }
}

interface Algorithm {
  /** Null: the algorithm has its own. */
  readonly hash: string | null
  jwk(octets: Uint8Array): Jwk | undefined
}
type Jwk = Record<string, string>

/** RFC 5702 §2 asks for these; larger ones cost a router a noticeable time per signature. */
const RSA_BITS_MIN = 1024
const RSA_BITS_MAX = 4096
/** 65537 everywhere, 2^32+1 in a few old zones. Time grows with the exponent, and a zone may choose it. */
const RSA_EXPONENT_BYTES_MAX = 5

/** Length of the exponent in one octet, or in two after a zero; the exponent; the modulus (RFC 3110 §2). */
function rsaJwk(octets: Uint8Array): Jwk | undefined {
  const long = octets[0] === 0
  const exponentBytes = long ? ((octets[1] ?? 0) << 8) | (octets[2] ?? 0) : (octets[0] ?? 0)
  const exponentStart = long ? 3 : 1
  const exponent = octets.subarray(exponentStart, exponentStart + exponentBytes)
  let modulusStart = exponentStart + exponentBytes
  while (octets[modulusStart] === 0) modulusStart++
  const modulus = octets.subarray(modulusStart)
  if (exponentBytes === 0 || exponentBytes > RSA_EXPONENT_BYTES_MAX || modulus.length === 0) return undefined
  const bits = modulus.length * 8 - Math.clz32(modulus[0]!) + 24
  if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX) return undefined
  return { kty: 'RSA', n: toBase64url(modulus), e: toBase64url(exponent) }
}

/** The point without the octet that says it is uncompressed (RFC 6605 §4). */
const curveJwk =
  (crv: string, octetsPerNumber: number) =>
  (octets: Uint8Array): Jwk | undefined => {
    if (octets.length !== 2 * octetsPerNumber) return undefined
    const [x, y] = [octets.subarray(0, octetsPerNumber), octets.subarray(octetsPerNumber)].map(toBase64url)
    return { kty: 'EC', crv, x: x!, y: y! }
  }

/** RFC 8080 §3. */
function edwardsJwk(octets: Uint8Array): Jwk | undefined {
  return octets.length === 32 ? { kty: 'OKP', crv: 'Ed25519', x: toBase64url(octets) } : undefined
}

const ALGORITHMS: ReadonlyMap<number, Algorithm> = new Map([
  [8, { hash: 'sha256', jwk: rsaJwk }], // RSA/SHA-256
  [10, { hash: 'sha512', jwk: rsaJwk }], // RSA/SHA-512
  [13, { hash: 'sha256', jwk: curveJwk('P-256', 32) }], // ECDSA P-256 with SHA-256
  [14, { hash: 'sha384', jwk: curveJwk('P-384', 48) }], // ECDSA P-384 with SHA-384
  [15, { hash: null, jwk: edwardsJwk }], // Ed25519
])
