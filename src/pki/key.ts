import { createHash, createPrivateKey, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { isDeepStrictEqual, promisify } from 'node:util'
import { equalBytes } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { bitLengthOf, bitStringBytes, DerReader, NotDer, objectIdOf, TAG } from './der-reader.ts'
import { CURVE, keysOf, nameIn, PUBLIC_KEY } from './object-ids.ts'

/** The keys this program makes. */
export type KeyType = 'p256' | 'p384' | 'ed25519' | 'rsa2048'

/** A new private key, PKCS#8 PEM. */
export async function generateKey(type: KeyType): Promise<string> {
  const { privateKey } = await GENERATORS[type]()
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

/** The PEM as it is. Throws when it is no private key that can be used. */
export function checkedKey(keyPem: string): string {
  openKey(keyPem)
  return keyPem
}

/** The DER SubjectPublicKeyInfo that belongs to a private key. */
export function spkiOf(keyPem: string): Uint8Array {
  return openKey(keyPem).spki
}

/** Base64 SHA-256 of the SubjectPublicKeyInfo: the pin of RFC 7858 §4.2 and RFC 7469 §2.4. */
export function spkiPin(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('base64')
}

/** Undefined for a key this program would not have made. */
export function keyTypeOf(keyPem: string): KeyType | undefined {
  const { description } = openKey(keyPem)
  return keysOf(DESCRIPTIONS).find((type) => isDeepStrictEqual(DESCRIPTIONS[type], description))
}

/** As bytes: a CA certifies the key the way the request held it. */
export function sameKey(spkiA: Uint8Array, spkiB: Uint8Array): boolean {
  return equalBytes(spkiA, spkiB)
}

/** A private key ready for use. Reading the PEM costs ten times what a signature does, so it is read once per operation. */
export interface PrivateKey {
  readonly object: KeyObject
  readonly spki: Uint8Array
  readonly description: PublicKeyDescription
}

export function openKey(keyPem: string): PrivateKey {
  try {
    const object = createPrivateKey(keyPem)
    const spki = createPublicKey(object).export({ type: 'spki', format: 'der' })
    return { object, spki, description: describePublicKey(spki) }
  } catch (cause) {
    throw new Fault('STATE_DAMAGED', 'the private key cannot be used; it should be PKCS#8 PEM', {}, cause)
  }
}

/** `curve` is the RFC 9115 name (`secp256r1`), or a dotted identifier for a curve that has none. */
export type PublicKeyDescription =
  | { readonly kind: 'rsa'; readonly bits: number }
  | { readonly kind: 'ec'; readonly curve: string }
  | { readonly kind: 'other'; readonly oid: string }

/** What kind of key a SubjectPublicKeyInfo holds (RFC 5280 §4.1.2.7). Throws NotDer. */
export function describePublicKey(spki: Uint8Array): PublicKeyDescription {
  const info = DerReader.over(spki, TAG.sequence)
  const algorithm = info.open(TAG.sequence)
  const key = bitStringBytes(info.take(TAG.bitString))
  info.end()
  const oid = objectIdOf(algorithm.take(TAG.objectId))
  // Explicit curve parameters are refused here, before OpenSSL would have to calculate with them (RFC 5480 §2.1.1).
  if (oid === PUBLIC_KEY['id-ecPublicKey'])
    return { kind: 'ec', curve: nameIn(CURVE, objectIdOf(algorithm.take(TAG.objectId))) }
  if (oid !== PUBLIC_KEY.rsaEncryption) return { kind: 'other', oid }
  const bits = bitLengthOf(DerReader.over(key, TAG.sequence).take(TAG.integer))
  if (bits > RSA_BITS_MAX) throw new NotDer(`an RSA key of ${bits} bits; ${RSA_BITS_MAX} is the longest we check`)
  return { kind: 'rsa', bits }
}

/** A check takes time with the square of the length: under 1 ms at this size, and no public CA signs longer ones. */
export const RSA_BITS_MAX = 8192

const DESCRIPTIONS: Record<KeyType, PublicKeyDescription> = {
  p256: { kind: 'ec', curve: 'secp256r1' },
  p384: { kind: 'ec', curve: 'secp384r1' },
  ed25519: { kind: 'other', oid: PUBLIC_KEY['id-Ed25519'] },
  rsa2048: { kind: 'rsa', bits: 2048 },
}

const generate = promisify(generateKeyPair)

const GENERATORS: Record<KeyType, () => Promise<{ privateKey: KeyObject }>> = {
  p256: () => generate('ec', { namedCurve: 'P-256' }),
  p384: () => generate('ec', { namedCurve: 'P-384' }),
  ed25519: () => generate('ed25519'),
  rsa2048: () => generate('rsa', { modulusLength: 2048 }),
}
