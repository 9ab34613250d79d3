import { randomBytes } from 'node:crypto'
import { Fault } from '../core/fault.ts'
import { parseCertificate } from './certificate.ts'
import { constructedTag } from './der-reader.ts'
import { bitString, der, integer, sequence, smallInteger, time } from './der-writer.ts'
import {
  authorityInfoAccess,
  authorityKeyIdentifier,
  basicConstraints,
  buildExtensions,
  crlDistributionPoint,
  type Extension,
  extendedKeyUsage,
  keyIdOf,
  keyUsage,
  noRevAvail,
  subjectAltName,
  subjectKeyIdentifier,
} from './extensions.ts'
import { describePublicKey, openKey, type PrivateKey, sameKey } from './key.ts'
import { buildName, type DistinguishedName } from './name.ts'
import { type NameScope, nameConstraints } from './name-constraints.ts'
import { type KeyUsage, SUBJECT_FIELD } from './object-ids.ts'
import { algorithmIdentifier, signatureFor, signBytes } from './signature.ts'

/** Validity to the second: fractions are cut off, nothing is added for clock skew. */
interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

interface AuthoritySubject extends Validity {
  readonly commonName: string
  readonly organization?: string
  /** The only names this authority may certify. It stands on root and intermediate alike: some verifiers skip the root's. */
  readonly scope?: NameScope
}

/** Who signs: a CA certificate (DER) and its key. */
export interface SigningAuthority {
  readonly certificate: Uint8Array
  readonly keyPem: string
}

/** A trust anchor (RFC 5280 §4.2): signs one level of CAs unless told otherwise. */
export async function createRoot(
  root: AuthoritySubject & { readonly keyPem: string; readonly pathLength?: number },
): Promise<Uint8Array> {
  const key = openKey(root.keyPem)
  const { spki } = key
  return signTbs(root, key, {
    subject: authorityName(root),
    issuer: authorityName(root),
    spki,
    extensions: authorityExtensions(root, spki, root.pathLength ?? 1),
  })
}

/** A CA below another one; signs only end entities unless told otherwise. */
export async function createIntermediate(
  intermediate: AuthoritySubject &
    Publication & {
      readonly issuer: SigningAuthority
      readonly spki: Uint8Array
      readonly pathLength?: number
    },
): Promise<Uint8Array> {
  const { issuer, spki, pathLength = 0 } = intermediate
  const parent = openAuthority(issuer)
  return signTbs(intermediate, parent.key, {
    subject: authorityName(intermediate),
    issuer: parent.subjectDer,
    spki,
    extensions: [
      ...authorityExtensions(intermediate, spki, pathLength),
      extendedKeyUsage(['serverAuth']),
      authorityKeyIdentifier(parent.keyId),
      ...publication(intermediate),
    ],
  })
}

/** Where clients find what the issuer publishes. */
interface Publication {
  readonly crlUrl?: string
  readonly issuerUrl?: string
}

interface Leaf extends Validity {
  readonly dnsNames: readonly string[]
  readonly ipAddresses?: readonly string[]
  /** digitalSignature, and keyEncipherment for RSA, unless given. */
  readonly keyUsages?: readonly KeyUsage[]
  /** serverAuth unless given. */
  readonly extendedKeyUsages?: readonly string[]
  /** Added at the end as they are. */
  readonly extensions?: readonly Extension[]
}

export interface LeafRequest extends Leaf, Publication {
  readonly issuer: SigningAuthority
  readonly spki: Uint8Array
  /** Too short-lived to be worth revoking: says so (RFC 9608). Not together with `crlUrl`. */
  readonly noRevocation?: boolean
}

/**
 * An end-entity certificate. The names are in the SAN; the first that fits is also the common name, because a client such
 * as kdig 3.2 gives up on an empty subject. Without a DNS name the subject is empty: some take any common name for one.
 */
export async function signLeaf(leaf: LeafRequest): Promise<Uint8Array> {
  const { issuer, spki, noRevocation = false, extensions = [] } = leaf
  if (noRevocation && leaf.crlUrl !== undefined) throw new RangeError('a CRL for what is never revoked (RFC 9608 §4)')
  const parent = openAuthority(issuer)
  const shown = leaf.dnsNames.find((name) => name.length <= COMMON_NAME_CHARACTERS_MAX)
  return signTbs(leaf, parent.key, {
    subject: buildName(shown === undefined ? [] : commonName(shown)),
    issuer: parent.subjectDer,
    spki,
    extensions: [
      // Where the subject is empty the names are critical (RFC 5280 §4.2.1.6).
      ...leafExtensions(leaf, spki, shown === undefined),
      authorityKeyIdentifier(parent.keyId),
      ...publication(leaf),
      ...(noRevocation ? [noRevAvail()] : []),
      ...extensions,
    ],
  })
}

/** A server certificate nobody vouches for; the client pins its key or takes it as it comes (RFC 7858 §4). */
export async function selfSign(leaf: Leaf & { readonly keyPem: string }): Promise<Uint8Array> {
  const key = openKey(leaf.keyPem)
  const { spki } = key
  // Issuer must not be empty (RFC 5280 §4.1.2.4), and in a self-signed certificate subject and issuer are the same.
  // An organization and no common name, because some clients take any common name for a host name.
  const name = buildName([[{ oid: SUBJECT_FIELD.organization, value: 'Self-signed' }]])
  return signTbs(leaf, key, {
    subject: name,
    issuer: name,
    spki,
    extensions: [
      ...leafExtensions(leaf, spki, false),
      authorityKeyIdentifier(keyIdOf(spki)),
      ...(leaf.extensions ?? []),
    ],
  })
}

interface Parts {
  readonly subject: Uint8Array
  readonly issuer: Uint8Array
  readonly spki: Uint8Array
  readonly extensions: readonly Extension[]
}

async function signTbs({ notBeforeMs, notAfterMs }: Validity, key: PrivateKey, parts: Parts): Promise<Uint8Array> {
  if (notAfterMs < notBeforeMs) throw new RangeError('a certificate cannot end before it starts')
  const name = signatureFor(key)
  const tbs = sequence(
    der(constructedTag(0), smallInteger(VERSION_3)),
    integer(randomSerial()),
    algorithmIdentifier(name),
    parts.issuer,
    sequence(time(notBeforeMs), time(notAfterMs)),
    parts.subject,
    parts.spki,
    der(constructedTag(3), buildExtensions(parts.extensions)),
  )
  const { algorithm, signature } = await signBytes(key, tbs, name)
  return sequence(tbs, algorithm, bitString(signature))
}

const VERSION_3 = 2
/** ub-common-name, RFC 5280 Appendix A.1. */
const COMMON_NAME_CHARACTERS_MAX = 64

/** 126 random bits; the top two are fixed so that the number is positive and its length never varies (RFC 5280 §4.1.2.2). */
function randomSerial(): Uint8Array {
  const serial = randomBytes(16)
  serial[0] = (serial[0]! & 0x3f) | 0x40
  return serial
}

interface OpenAuthority {
  readonly subjectDer: Uint8Array
  readonly keyId: Uint8Array
  readonly key: PrivateKey
}

/** Read once for as long as whoever signs keeps hold of it: reading costs more than the signature. */
const opened = new WeakMap<SigningAuthority, OpenAuthority>()

function openAuthority(issuer: SigningAuthority): OpenAuthority {
  const known = opened.get(issuer)
  if (known) return known
  const authority = readAuthority(issuer)
  opened.set(issuer, authority)
  return authority
}

function readAuthority(issuer: SigningAuthority): OpenAuthority {
  const authority = parseCertificate(issuer.certificate)
  const key = openKey(issuer.keyPem)
  if (!authority.isAuthority) throw new Fault('CERT_CHAIN', `"${authority.subject}" is not a CA certificate`)
  if (!sameKey(authority.spki, key.spki))
    throw new Fault('CERT_KEY_MISMATCH', `the signing key does not belong to "${authority.subject}"`)
  return { subjectDer: authority.subjectDer, keyId: authority.subjectKeyId ?? keyIdOf(authority.spki), key }
}

function authorityName({ commonName: name, organization }: AuthoritySubject): Uint8Array {
  const parts = organization === undefined ? [] : [[{ oid: SUBJECT_FIELD.organization, value: organization }]]
  return buildName([...parts, ...commonName(name)])
}

const commonName = (value: string): DistinguishedName => [[{ oid: SUBJECT_FIELD.commonName, value }]]

function authorityExtensions({ scope }: AuthoritySubject, spki: Uint8Array, pathLength: number): Extension[] {
  return [
    basicConstraints(true, pathLength),
    keyUsage(['keyCertSign', 'cRLSign']),
    ...(scope ? [nameConstraints(scope)] : []),
    subjectKeyIdentifier(keyIdOf(spki)),
  ]
}

function leafExtensions(leaf: Leaf, spki: Uint8Array, areNamesCritical: boolean): Extension[] {
  const { dnsNames, ipAddresses = [], extendedKeyUsages = ['serverAuth'] } = leaf
  if (dnsNames.length + ipAddresses.length === 0)
    throw new Fault('CONFIG_INVALID', 'a certificate needs at least one name or address')
  return [
    subjectAltName({ dnsNames, ipAddresses }, areNamesCritical),
    basicConstraints(false),
    keyUsage(leaf.keyUsages ?? usagesFor(spki)),
    extendedKeyUsage(extendedKeyUsages),
    subjectKeyIdentifier(keyIdOf(spki)),
  ]
}

/** Without a forward-secret exchange, TLS 1.2 encrypts to an RSA key; no other key can do that. */
const usagesFor = (spki: Uint8Array): KeyUsage[] =>
  describePublicKey(spki).kind === 'rsa' ? ['digitalSignature', 'keyEncipherment'] : ['digitalSignature']

const publication = ({ crlUrl, issuerUrl }: Publication): Extension[] => [
  ...(crlUrl === undefined ? [] : [crlDistributionPoint(crlUrl)]),
  ...(issuerUrl === undefined ? [] : [authorityInfoAccess(issuerUrl)]),
]
