import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto'
import { fromBase64url } from '../core/bytes.ts'
import { isJsonObject, type JsonObject, parseJson } from './json.ts'
import { AcmeProblem } from './problem.ts'

/** Signature algorithm → the one kind of key it goes with. RFC 8555 §6.2: ES256 is mandatory, MACs never sign a request. */
const KEY_OF_ALGORITHM: Record<string, { readonly kty: string; readonly crv?: string; readonly hash: string }> = {
  ES256: { kty: 'EC', crv: 'P-256', hash: 'sha256' },
  ES384: { kty: 'EC', crv: 'P-384', hash: 'sha384' },
  ES512: { kty: 'EC', crv: 'P-521', hash: 'sha512' },
  RS256: { kty: 'RSA', hash: 'sha256' },
}
export const SIGNATURE_ALGORITHMS: readonly string[] = Object.keys(KEY_OF_ALGORITHM)

/** P-256, P-384 and P-521 as Node names them. */
const OPENSSL_CURVES = ['prime256v1', 'secp384r1', 'secp521r1']

/** Below: factored within reach. Above: a hostile client makes us compute. */
const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 4096

/** Public members only, in the one spelling RFC 7518 §6 allows. */
export type PublicJwk = Readonly<Record<string, string>>

export interface FlattenedJws {
  readonly protected: string
  readonly payload: string
  readonly signature: string
}

/** A JWS taken apart; nothing about its signature is known yet. */
export interface ParsedJws {
  readonly flattened: FlattenedJws
  readonly header: JsonObject
  readonly payload: Uint8Array
}

/** A public key with the name accounts are found by. */
export interface AccountKey {
  readonly key: KeyObject
  readonly jwk: PublicJwk
  readonly thumbprint: string
}

/** Takes one flattened JWS apart, refusing everything RFC 8555 §6.2 forbids in one. */
export function parseJws(value: unknown): ParsedJws {
  if (!isJsonObject(value)) throw malformed('the JWS is not a JSON object')
  if ('signatures' in value) throw malformed('a JWS with a "signatures" array is not taken, only the flattened form')
  if ('header' in value) throw malformed('an unprotected JWS header is not taken')
  const flattened = {
    protected: textMember(value, 'protected'),
    payload: textMember(value, 'payload'),
    signature: textMember(value, 'signature'),
  }
  const header = parseJson(bytesOf(flattened.protected, 'protected'))
  if (!isJsonObject(header)) throw malformed('the protected header is not a JSON object')
  if ('b64' in header) throw malformed('the "b64" header parameter is not taken')
  if ('crit' in header) throw malformed('the "crit" header parameter names extensions this server does not know')
  bytesOf(flattened.signature, 'signature')
  return { flattened, header, payload: bytesOf(flattened.payload, 'payload') }
}

/** Throws unless the header's algorithm is one of ours, fits the key, and the signature is the key's. */
export async function verifyJws({ header, flattened }: ParsedJws, { key, jwk }: AccountKey): Promise<void> {
  const wanted = KEY_OF_ALGORITHM[checkAlgorithm(header['alg'])]!
  if (wanted.kty !== jwk['kty'] || (wanted.crv !== undefined && wanted.crv !== jwk['crv'])) {
    throw malformed(`algorithm ${String(header['alg'])} does not go with a ${jwk['crv'] ?? jwk['kty']} key`)
  }
  const signed = Buffer.from(`${flattened.protected}.${flattened.payload}`)
  // RFC 7518 §3.4: both numbers at full length, one after the other. For RSA the encoding means nothing.
  const isRight = verify(
    wanted.hash,
    signed,
    { key, dsaEncoding: 'ieee-p1363' },
    bytesOf(flattened.signature, 'signature'),
  )
  if (!isRight) throw malformed('the JWS signature is wrong')
}

/** Refused before any key is looked up, with the list of what would do (RFC 8555 §6.2). */
export function checkAlgorithm(algorithm: unknown): string {
  if (typeof algorithm === 'string' && Object.hasOwn(KEY_OF_ALGORITHM, algorithm)) return algorithm
  throw new AcmeProblem('badSignatureAlgorithm', `use one of ${SIGNATURE_ALGORITHMS.join(', ')}`, {
    algorithms: SIGNATURE_ALGORITHMS,
  })
}

/** A key as a client shows it. Weak, private, or spelt so that one key could have two thumbprints: badPublicKey. */
export async function importAccountKey(jwk: unknown): Promise<AccountKey> {
  const text = JSON.stringify(jwk)
  const known = importedKeys.get(text)
  if (known) return known
  const imported = await importNewKey(jwk)
  // Members beside the key are ignored, but they are in the text.
  if (text.length > KEY_CHARS_MAX) return imported
  if (importedKeys.size >= KEYS_KEPT_MAX) importedKeys.clear()
  importedKeys.set(text, imported)
  return imported
}

/** Reading a key costs as much as checking a signature, and an account signs ten requests for one order. */
const KEYS_KEPT_MAX = 2_000
/** Of a JWK with a modulus of 8192 bits there are 1400. */
const KEY_CHARS_MAX = 2_000
const importedKeys = new Map<string, AccountKey>()

async function importNewKey(jwk: unknown): Promise<AccountKey> {
  if (!isJsonObject(jwk)) throw new AcmeProblem('badPublicKey', 'the JWK is not a JSON object')
  if ('d' in jwk || 'k' in jwk) throw new AcmeProblem('badPublicKey', 'the JWK holds a secret; treat that key as lost')
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    throw new AcmeProblem('badPublicKey', 'the JWK is not an RSA or elliptic curve public key')
  }
  const account = await accountKeyOf(key)
  // Octets added or left out would give one key a second account (RFC 7518 §6.2.1.2, §6.3.1.1).
  const same = account && Object.entries(account.jwk).every(([member, value]) => jwk[member] === value)
  if (!same)
    throw new AcmeProblem('badPublicKey', 'key kind not supported, or its numbers are not encoded at full length')
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)) {
    throw new AcmeProblem('badPublicKey', `RSA keys have ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits, this one ${bits}`)
  }
  return account
}

/** Undefined for a kind of key that cannot hold an account. */
export async function accountKeyOf(key: KeyObject): Promise<AccountKey | undefined> {
  const curve = key.asymmetricKeyDetails?.namedCurve
  if (key.asymmetricKeyType !== 'rsa' && !(curve && OPENSSL_CURVES.includes(curve))) return undefined
  const members = Object.entries(key.export({ format: 'jwk' }))
  const jwk = Object.fromEntries(members.filter((member): member is [string, string] => typeof member[1] === 'string'))
  return { key, jwk, thumbprint: await thumbprint(jwk) }
}

/** RFC 7638 with SHA-256. Works on the text, so leading zero octets stay (RFC 8555 erratum 7565). */
export async function thumbprint(jwk: PublicJwk): Promise<string> {
  const members = THUMBPRINT_MEMBERS[jwk['kty'] ?? ''] ?? []
  const text = JSON.stringify(Object.fromEntries(members.map((member) => [member, jwk[member]])))
  return createHash('sha256').update(text).digest('base64url')
}

/** RFC 7638 §3.2, in the order of the alphabet. */
const THUMBPRINT_MEMBERS: Readonly<Record<string, readonly string[]>> = {
  EC: ['crv', 'kty', 'x', 'y'],
  RSA: ['e', 'kty', 'n'],
}

function textMember(value: JsonObject, member: keyof FlattenedJws): string {
  const text = value[member]
  if (typeof text !== 'string') throw malformed(`the JWS has no "${member}" string`)
  return text
}

function bytesOf(text: string, member: keyof FlattenedJws): Uint8Array {
  const bytes = fromBase64url(text)
  if (!bytes) throw malformed(`"${member}" is not base64url without padding`)
  return bytes
}

function malformed(detail: string): AcmeProblem {
  return new AcmeProblem('malformed', detail)
}
