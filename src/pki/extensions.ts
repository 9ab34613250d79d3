import { createHash } from 'node:crypto'
import { Fault } from '../core/fault.ts'
import {
  bitStringBytes,
  bitsOf,
  booleanOf,
  constructedTag,
  countOf,
  DerReader,
  implicitTag,
  NotDer,
  objectIdOf,
  TAG,
} from './der-reader.ts'
import { der, namedBits, nullValue, objectId, octetString, sequence, smallInteger, trueValue } from './der-writer.ts'
import { buildGeneralNames, type GeneralNames, NAME_TAG, parseGeneralNames } from './general-names.ts'
import { EXTENDED_KEY_USAGE, EXTENSION, isObjectId, KEY_USAGES, type KeyUsage, nameIn } from './object-ids.ts'

/** One certificate extension (RFC 5280 §4.1); `der` is the value inside its OCTET STRING. */
export interface Extension {
  readonly oid: string
  readonly critical: boolean
  readonly der: Uint8Array
}

/** The members of an Extensions SEQUENCE, in order, repeated ones included. Throws NotDer. */
export function parseExtensions(list: DerReader): Extension[] {
  return [...list.rest(TAG.sequence)].map((value) => {
    const extension = DerReader.inside(value)
    const oid = objectIdOf(extension.take(TAG.objectId))
    const flag = extension.maybe(TAG.boolean)
    const { content } = extension.take(TAG.octetString)
    extension.end()
    return { oid, critical: flag !== undefined && booleanOf(flag), der: content }
  })
}

export function buildExtensions(extensions: readonly Extension[]): Uint8Array {
  return sequence(
    ...extensions.map(({ oid, critical, der: value }) =>
      sequence(objectId(oid), ...(critical ? [trueValue()] : []), octetString(value)),
    ),
  )
}

/** What the extensions of a request or certificate say about names and usages. A repeated extension adds to the first. */
export interface ExtensionFacts extends GeneralNames {
  readonly keyUsages: readonly KeyUsage[]
  /** Names of RFC 5280 §4.2.1.12, or dotted identifiers. */
  readonly extendedKeyUsages: readonly string[]
}

export function factsOf(extensions: readonly Extension[]): ExtensionFacts {
  const names = valuesOf(extensions, EXTENSION.subjectAltName).map((value) => parseGeneralNames(sequenceIn(value)))
  return {
    dnsNames: names.flatMap((each) => each.dnsNames),
    emails: names.flatMap((each) => each.emails),
    uris: names.flatMap((each) => each.uris),
    ipAddresses: names.flatMap((each) => each.ipAddresses),
    otherNames: names.reduce((sum, each) => sum + each.otherNames, 0),
    keyUsages: valuesOf(extensions, EXTENSION.keyUsage).flatMap(parseKeyUsage),
    extendedKeyUsages: valuesOf(extensions, EXTENSION.extendedKeyUsage).flatMap(parseExtendedKeyUsage),
  }
}

/** What only a certificate says. */
export interface AuthorityFacts {
  readonly isAuthority: boolean
  readonly pathLength?: number
  readonly subjectKeyId?: Uint8Array
  readonly authorityKeyId?: Uint8Array
}

export function authorityFactsOf(extensions: readonly Extension[]): AuthorityFacts {
  const [constraints] = valuesOf(extensions, EXTENSION.basicConstraints)
  const [subjectKey] = valuesOf(extensions, EXTENSION.subjectKeyIdentifier)
  const [authorityKey] = valuesOf(extensions, EXTENSION.authorityKeyIdentifier)
  const authorityKeyId = authorityKey && sequenceIn(authorityKey).maybe(implicitTag(0))?.content
  return {
    ...(constraints ? parseBasicConstraints(constraints) : { isAuthority: false }),
    ...(subjectKey ? { subjectKeyId: DerReader.whole(subjectKey, TAG.octetString).content } : {}),
    ...(authorityKeyId ? { authorityKeyId } : {}),
  }
}

export function subjectAltName(names: Partial<Omit<GeneralNames, 'otherNames'>>, critical: boolean): Extension {
  return { oid: EXTENSION.subjectAltName, critical, der: buildGeneralNames(names) }
}

export function keyUsage(usages: readonly KeyUsage[]): Extension {
  const value = namedBits(usages.map((usage) => KEY_USAGES.indexOf(usage)))
  return { oid: EXTENSION.keyUsage, critical: true, der: value }
}

export function extendedKeyUsage(usages: readonly string[]): Extension {
  const names: Readonly<Record<string, string>> = EXTENDED_KEY_USAGE
  const oids = usages.map((usage) => names[usage] ?? usage)
  const bad = oids.find((oid) => !isObjectId(oid))
  if (bad !== undefined) throw new Fault('CONFIG_INVALID', `${JSON.stringify(bad)} is not an extended key usage`)
  const value = sequence(...oids.map(objectId))
  return { oid: EXTENSION.extendedKeyUsage, critical: false, der: value }
}

/** DER leaves out what is default: an end entity's value is an empty SEQUENCE. */
export function basicConstraints(isAuthority: boolean, pathLength?: number): Extension {
  const value = sequence(
    ...(isAuthority ? [trueValue()] : []),
    ...(pathLength === undefined ? [] : [smallInteger(pathLength)]),
  )
  return { oid: EXTENSION.basicConstraints, critical: isAuthority, der: value }
}

export function subjectKeyIdentifier(keyId: Uint8Array): Extension {
  return { oid: EXTENSION.subjectKeyIdentifier, critical: false, der: octetString(keyId) }
}

export function authorityKeyIdentifier(keyId: Uint8Array): Extension {
  return { oid: EXTENSION.authorityKeyIdentifier, critical: false, der: sequence(der(implicitTag(0), keyId)) }
}

export function noRevAvail(): Extension {
  return { oid: EXTENSION.noRevAvail, critical: false, der: nullValue() }
}

/** Where the CRL is; one DistributionPoint with one fullName (RFC 5280 §4.2.1.13). */
export function crlDistributionPoint(url: string): Extension {
  const fullName = der(constructedTag(0), der(constructedTag(0), der(NAME_TAG.uri, Buffer.from(url, 'latin1'))))
  return { oid: EXTENSION.cRLDistributionPoints, critical: false, der: sequence(sequence(fullName)) }
}

/** Where the issuer's certificate is (RFC 5280 §4.2.2.1, id-ad-caIssuers). */
export function authorityInfoAccess(url: string): Extension {
  const access = sequence(objectId('1.3.6.1.5.5.7.48.2'), der(NAME_TAG.uri, Buffer.from(url, 'latin1')))
  return { oid: EXTENSION.authorityInfoAccess, critical: false, der: sequence(access) }
}

/** The left 160 bits of SHA-256 over the key bits (RFC 7093 §2, method 1). */
export function keyIdOf(spki: Uint8Array): Uint8Array {
  const info = DerReader.over(spki, TAG.sequence)
  info.take(TAG.sequence)
  return createHash('sha256')
    .update(bitStringBytes(info.take(TAG.bitString)))
    .digest()
    .subarray(0, 20)
}

const valuesOf = (extensions: readonly Extension[], oid: string): Uint8Array[] =>
  extensions.filter((extension) => extension.oid === oid).map((extension) => extension.der)

const sequenceIn = (value: Uint8Array): DerReader => DerReader.over(value, TAG.sequence)

function parseKeyUsage(value: Uint8Array): KeyUsage[] {
  return bitsOf(DerReader.whole(value, TAG.bitString)).map((bit) => {
    const usage = KEY_USAGES[bit]
    if (!usage) throw new NotDer(`key usage bit ${bit} has no meaning`)
    return usage
  })
}

const parseExtendedKeyUsage = (value: Uint8Array): string[] =>
  [...sequenceIn(value).rest(TAG.objectId)].map((oid) => nameIn(EXTENDED_KEY_USAGE, objectIdOf(oid)))

function parseBasicConstraints(value: Uint8Array): { isAuthority: boolean; pathLength?: number } {
  const constraints = sequenceIn(value)
  const flag = constraints.maybe(TAG.boolean)
  const length = constraints.maybe(TAG.integer)
  constraints.end()
  return { isAuthority: flag !== undefined && booleanOf(flag), ...(length ? { pathLength: countOf(length) } : {}) }
}
