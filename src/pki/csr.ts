import { Fault } from '../core/fault.ts'
import { bitStringBytes, constructedTag, countOf, DerReader, NotDer, objectIdOf, TAG } from './der-reader.ts'
import { bitString, der, objectId, sequence, setOf, smallInteger } from './der-writer.ts'
import {
  buildExtensions,
  type Extension,
  type ExtensionFacts,
  extendedKeyUsage,
  factsOf,
  keyUsage,
  parseExtensions,
  subjectAltName,
} from './extensions.ts'
import { describePublicKey, openKey, type PublicKeyDescription } from './key.ts'
import { buildName, type DistinguishedName, parseName } from './name.ts'
import { EXTENSION_REQUEST, type KeyUsage } from './object-ids.ts'
import { isSignedBy, type SignatureName, type Signed, signatureNameOf, signBytes } from './signature.ts'

/** A certificate request (PKCS#10, RFC 2986) whose own signature is good. It says what it says; nothing is judged here. */
export interface Csr extends ExtensionFacts {
  readonly der: Uint8Array
  readonly spki: Uint8Array
  readonly publicKey: PublicKeyDescription
  readonly signatureAlgorithm: SignatureName
  readonly subject: DistinguishedName
  /** Every attribute as it stands, repeated ones too. */
  readonly attributes: readonly CsrAttribute[]
  readonly extensions: readonly Extension[]
}

export interface CsrAttribute {
  readonly oid: string
  /** How many values it has. */
  readonly count: number
}

/** Throws CSR_UNREADABLE for anything that is not one whole, strictly encoded, correctly self-signed request. */
export function parseCsr(bytes: Uint8Array): Csr {
  if (bytes.length > CSR_BYTES_MAX)
    throw new Fault('CSR_UNREADABLE', `the certificate request has ${bytes.length} bytes; ${CSR_BYTES_MAX} are allowed`)
  try {
    return parse(bytes)
  } catch (error) {
    if (!(error instanceof NotDer)) throw error
    throw new Fault('CSR_UNREADABLE', `the certificate request is malformed: ${error.message}`, {}, error)
  }
}

/** A hundred names of full length with an RSA-4096 key fit in half of it. */
const CSR_BYTES_MAX = 65_536

export interface CsrRequest {
  readonly keyPem: string
  readonly dnsNames: readonly string[]
  readonly emails?: readonly string[]
  readonly uris?: readonly string[]
  readonly ipAddresses?: readonly string[]
  readonly keyUsages?: readonly KeyUsage[]
  readonly extendedKeyUsages?: readonly string[]
  /** Empty unless given. No name is ever copied into it. */
  readonly subject?: DistinguishedName
  /** The one that suits the key, unless given. */
  readonly signatureAlgorithm?: SignatureName
}

/** DER PKCS#10 that asks for exactly this and nothing else: RFC 9115 §4 forbids whatever the template does not name. */
export async function createCsr(request: CsrRequest): Promise<Uint8Array> {
  const { subject = [], signatureAlgorithm } = request
  const key = openKey(request.keyPem)
  const extensions = setOf([buildExtensions(requestedExtensions(request))])
  const attribute = sequence(objectId(EXTENSION_REQUEST), extensions)
  const tbs = sequence(smallInteger(0), buildName(subject), key.spki, der(constructedTag(0), attribute))
  const { algorithm, signature } = await signBytes(key, tbs, signatureAlgorithm)
  return sequence(tbs, algorithm, bitString(signature))
}

function requestedExtensions(request: CsrRequest): Extension[] {
  const { keyUsages = [], extendedKeyUsages = [] } = request
  return [
    subjectAltName(request, false),
    ...(keyUsages.length > 0 ? [keyUsage(keyUsages)] : []),
    ...(extendedKeyUsages.length > 0 ? [extendedKeyUsage(extendedKeyUsages)] : []),
  ]
}

function parse(bytes: Uint8Array): Csr {
  const outer = DerReader.over(bytes, TAG.sequence)
  const info = outer.take(TAG.sequence)
  const algorithm = outer.take(TAG.sequence).der
  const signature = bitStringBytes(outer.take(TAG.bitString))
  outer.end()

  const fields = DerReader.inside(info)
  const version = countOf(fields.take(TAG.integer))
  if (version !== 0) throw new NotDer(`version ${version} of PKCS#10 is unknown`)
  const subject = parseName(fields.open(TAG.sequence))
  const spki = fields.take(TAG.sequence).der
  // RFC 2986 §4.1 has no OPTIONAL here, but several programs leave an empty attribute list out.
  const attributes = fields.maybe(constructedTag(0))
  fields.end()

  const publicKey = describePublicKey(spki)
  const signatureAlgorithm = checkSignature({ tbs: info.der, algorithm, signature }, spki)
  const { list, extensions } = attributes ? parseAttributes(DerReader.inside(attributes)) : { list: [], extensions: [] }
  return {
    der: bytes,
    spki,
    publicKey,
    signatureAlgorithm,
    subject,
    attributes: list,
    extensions,
    ...factsOf(extensions),
  }
}

/** Proof that whoever asks holds the key (RFC 2986 §4.2). */
function checkSignature(signed: Signed, spki: Uint8Array): SignatureName {
  const name = signatureNameOf(signed.algorithm)
  if (!name) {
    const oid = objectIdOf(DerReader.over(signed.algorithm, TAG.sequence).take(TAG.objectId))
    throw new Fault(
      'CSR_UNREADABLE',
      `the certificate request is signed with ${oid}, or with parameters of it, that we do not accept`,
    )
  }
  if (!isSignedBy(signed, spki))
    throw new Fault('CSR_UNREADABLE', 'the signature of the certificate request does not belong to the key inside it')
  return name
}

function parseAttributes(attributes: DerReader): { list: CsrAttribute[]; extensions: Extension[] } {
  const list: CsrAttribute[] = []
  const extensions: Extension[] = []
  for (const value of attributes.rest(TAG.sequence)) {
    const attribute = DerReader.inside(value)
    const oid = objectIdOf(attribute.take(TAG.objectId))
    const values = [...attribute.open(TAG.set).rest()]
    attribute.end()
    list.push({ oid, count: values.length })
    if (oid !== EXTENSION_REQUEST) continue
    // All of them count, so that a second list cannot hide what the first does not say.
    for (const each of values) extensions.push(...parseExtensions(DerReader.over(each.der, TAG.sequence)))
  }
  return { list, extensions }
}
