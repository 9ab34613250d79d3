import { constants, createPublicKey, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import { equalBytes } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { constructedTag } from './der-reader.ts'
import { der, nullValue, objectId, sequence, smallInteger } from './der-writer.ts'
import { describePublicKey, type PrivateKey, type PublicKeyDescription } from './key.ts'
import { keysOf, PUBLIC_KEY } from './object-ids.ts'

/** The signature algorithms we know, under the names of RFC 9115 appendix A. SHA-1 and shorter are not among them. */
export type SignatureName = keyof typeof SIGNATURES

/** What a certificate or request carries: the signed bytes, the AlgorithmIdentifier, the signature. */
export interface Signed {
  readonly tbs: Uint8Array
  readonly algorithm: Uint8Array
  readonly signature: Uint8Array
}

/** Undefined for an algorithm, or parameters of RSASSA-PSS, that we do not accept. */
export function signatureNameOf(algorithm: Uint8Array): SignatureName | undefined {
  return SIGNATURE_NAMES.find((name) => SIGNATURES[name].encodings.some((known) => equalBytes(known, algorithm)))
}

/** False also when the key is of another kind than the algorithm, or cannot be used at all. */
export function isSignedBy({ tbs, algorithm, signature }: Signed, spki: Uint8Array): boolean {
  const name = signatureNameOf(algorithm)
  if (!name) return false
  const { hash, pss } = SIGNATURES[name]
  try {
    if (!isFor(name, describePublicKey(spki))) return false
    const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
    return verify(hash, tbs, { key, ...pss }, signature)
  } catch {
    return false
  }
}

/** Signs with the algorithm that suits the key, unless another one of the same kind is asked for. */
export async function signBytes(key: PrivateKey, tbs: Uint8Array, name = signatureFor(key)): Promise<Signed> {
  const { hash, pss } = SIGNATURES[name]
  // OpenSSL takes whatever key it is given, and the label would then be wrong.
  if (!isFor(name, key.description)) throw new Fault('CONFIG_INVALID', `a key of this kind cannot sign with ${name}`)
  const signature = await signAsync(hash, tbs, { key: key.object, ...pss })
  return { tbs, algorithm: algorithmIdentifier(name), signature }
}

/** The algorithms a CSR template may name for a kind of key (RFC 9115 appendix A). */
export const signatureNamesFor = (key: 'rsa' | 'ec'): SignatureName[] =>
  SIGNATURE_NAMES.filter((name) => SIGNATURES[name].key === key)

/** As it is written; several readings of one name exist, this is the canonical one. */
export const algorithmIdentifier = (name: SignatureName): Uint8Array => SIGNATURES[name].encodings[0]!

/** The hash that matches the strength of the key (RFC 5480 §4). */
export function signatureFor({ description: key }: PrivateKey): SignatureName {
  if (key.kind === 'rsa') return 'sha256WithRSAEncryption'
  if (key.kind === 'other') return 'Ed25519'
  return key.curve === 'secp384r1'
    ? 'ecdsa-with-SHA384'
    : key.curve === 'secp521r1'
      ? 'ecdsa-with-SHA512'
      : 'ecdsa-with-SHA256'
}

interface Signature {
  readonly key: 'rsa' | 'ec' | 'ed25519'
  /** Undefined: the algorithm has its own. */
  readonly hash: string | undefined
  readonly pss?: { readonly padding: number; readonly saltLength: number }
  /** Every AlgorithmIdentifier we accept for it, the one we write first. */
  readonly encodings: readonly Uint8Array[]
}

const HASH = { sha256: 1, sha384: 2, sha512: 3 } as const
const SALT_LENGTH = { sha256: 32, sha384: 48, sha512: 64 } as const
type Hash = keyof typeof HASH

/** RFC 5758 §3.2: parameters absent. */
const ecdsa = (hash: Hash): Signature => ({
  key: 'ec',
  hash,
  encodings: [sequence(objectId(`1.2.840.10045.4.3.${HASH[hash] + 1}`))],
})

/** RFC 4055 §5: parameters are NULL, and absent ones are accepted. */
const pkcs1 = (hash: Hash): Signature => {
  const id = objectId(`1.2.840.113549.1.1.${HASH[hash] + 10}`)
  return { key: 'rsa', hash, encodings: [sequence(id, nullValue()), sequence(id)] }
}

/**
 * RFC 4055 §3.1, narrowed to what the names of RFC 9115 mean: MGF1 over the same hash, salt as long as the hash, trailer
 * left at its default. The parameters are compared as bytes; only the NULL after a hash may be there or not (§2.1).
 */
const pss = (hash: Hash): Signature => {
  const hashIds = [[nullValue()], []].map((end) => sequence(objectId(`2.16.840.1.101.3.4.2.${HASH[hash]}`), ...end))
  const parameters = hashIds.flatMap((hashId) =>
    hashIds.map((maskHashId) =>
      sequence(
        der(constructedTag(0), hashId),
        der(constructedTag(1), sequence(objectId('1.2.840.113549.1.1.8'), maskHashId)),
        der(constructedTag(2), smallInteger(SALT_LENGTH[hash])),
      ),
    ),
  )
  return {
    key: 'rsa',
    hash,
    pss: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: SALT_LENGTH[hash] },
    encodings: parameters.map((each) => sequence(objectId('1.2.840.113549.1.1.10'), each)),
  }
}

/** RFC 8410 §3. Not in RFC 9115, so no template can ask for it; a local CA may still use it. */
const ed25519 = (): Signature => ({
  key: 'ed25519',
  hash: undefined,
  encodings: [sequence(objectId(PUBLIC_KEY['id-Ed25519']))],
})

const SIGNATURES = {
  'ecdsa-with-SHA256': ecdsa('sha256'),
  'ecdsa-with-SHA384': ecdsa('sha384'),
  'ecdsa-with-SHA512': ecdsa('sha512'),
  sha256WithRSAEncryption: pkcs1('sha256'),
  sha384WithRSAEncryption: pkcs1('sha384'),
  sha512WithRSAEncryption: pkcs1('sha512'),
  sha256WithRSAandMGF1: pss('sha256'),
  sha384WithRSAandMGF1: pss('sha384'),
  sha512WithRSAandMGF1: pss('sha512'),
  Ed25519: ed25519(),
} satisfies Record<string, Signature>

const SIGNATURE_NAMES = keysOf(SIGNATURES)

function isFor(name: SignatureName, key: PublicKeyDescription): boolean {
  const kind = SIGNATURES[name].key
  return key.kind === 'other' ? kind === 'ed25519' && key.oid === PUBLIC_KEY['id-Ed25519'] : kind === key.kind
}

const signAsync = promisify(sign)
