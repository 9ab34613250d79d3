import { concatBytes } from '../core/bytes.ts'
import { sipHash24 } from './siphash.ts'
import { putUint32, uint32 } from './wire.ts'

/** Server cookies that any server with the same key makes alike (RFC 9018 §4). */

export const CLIENT_COOKIE_BYTES = 8
/** The COOKIE option with a server cookie of version 1: client cookie, version and reserved octets, time, hash. */
export const COOKIE_BYTES = 24
const VERSION_AT = 8
const TIME_AT = 12
const HASH_AT = 16

/** RFC 9018 §4.3: how old a good cookie may be, how far in the future, and at what age a new one is handed out. */
const AGE_S_MAX = 3_600
const FUTURE_S_MAX = 300
const RENEW_AGE_S = 1_800

/** Lengths the option may have: the client's part alone, or with a server's of 8 to 32 octets (RFC 7873 §4). */
export function isCookieLength(length: number): boolean {
  return length === CLIENT_COOKIE_BYTES || (length >= 16 && length <= 40)
}

/** The data of the COOKIE option for a reply: the client's eight octets and our sixteen. `address` has 4 or 16. */
export function makeCookie(
  key: Uint8Array,
  clientCookie: Uint8Array,
  address: Uint8Array,
  nowS: number,
): Uint8Array<ArrayBuffer> {
  const cookie = new Uint8Array(COOKIE_BYTES)
  cookie.set(clientCookie.subarray(0, CLIENT_COOKIE_BYTES))
  cookie[VERSION_AT] = 1
  putUint32(cookie, TIME_AT, nowS)
  cookie.set(hashOf(key, cookie, address), HASH_AT)
  return cookie
}

export type CookieVerdict = 'good' | 'renew' | 'bad'

/** `renew`: it is good, and its client should be given a newer one. The data is that of a COOKIE option. */
export function judgeCookie(key: Uint8Array, cookie: Uint8Array, address: Uint8Array, nowS: number): CookieVerdict {
  if (cookie.length !== COOKIE_BYTES || cookie[VERSION_AT] !== 1) return 'bad'
  // Serial arithmetic (RFC 1982): the clock of 32 bits runs over in 2106.
  const ageS = (nowS - uint32(cookie, TIME_AT)) | 0
  if (ageS > AGE_S_MAX || ageS < -FUTURE_S_MAX) return 'bad'
  const hash = hashOf(key, cookie, address)
  let different = 0
  for (let at = 0; at < hash.length; at++) different |= hash[at]! ^ cookie[HASH_AT + at]!
  if (different !== 0) return 'bad'
  return ageS > RENEW_AGE_S ? 'renew' : 'good'
}

/** Over client cookie, version, reserved, time and client address, in this order (RFC 9018 §4.4). */
function hashOf(key: Uint8Array, cookie: Uint8Array, address: Uint8Array): Uint8Array {
  return sipHash24(key, concatBytes([cookie.subarray(0, HASH_AT), address]))
}
