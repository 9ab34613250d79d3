import { equalBytes } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { type Certificate, parseCertificate } from './certificate.ts'
import { NotDer } from './der-reader.ts'
import { normalName } from './general-names.ts'
import { ipToBytes } from './ip-address.ts'
import { sameKey } from './key.ts'
import { outsideConstraints } from './name-constraints.ts'
import { ANY_EXTENDED_KEY_USAGE, EXTENSION } from './object-ids.ts'
import { isSignedBy } from './signature.ts'

export interface IdentityClaim {
  /** DER, leaf first. */
  readonly chain: readonly Uint8Array[]
  /** The key that must have been certified. */
  readonly spki: Uint8Array
  /** DNS names or IP addresses, each of which the leaf must carry. */
  readonly names: readonly string[]
  readonly nowMs: number
  /** DER. For the roots of the system the caller passes those of its TLS library. Those we cannot read vouch for nobody. */
  readonly anchors: readonly Uint8Array[]
}

/**
 * Whether a chain may be shown to clients: throws CERT_KEY_MISMATCH, CERT_NAME_MISMATCH, CERT_DATES, CERT_CHAIN or
 * CERT_UNREADABLE. Path validation of RFC 5280 §6.1 for a TLS server; revocation and policies are not looked at.
 */
export function checkIdentity({ chain, spki, names, nowMs, anchors }: IdentityClaim): void {
  const path = chain.map(parseCertificate)
  const [leaf] = path
  if (!leaf) throw new Fault('CERT_CHAIN', 'the chain is empty')
  checkLeaf(leaf, spki, names)
  checkDates(leaf, 'the certificate', nowMs)
  checkPath(path, nowMs, anchors)
}

/** True when a certificate name covers a host name: equal, or a wildcard for exactly its first label (RFC 9525 §6.3). */
export function coversName(pattern: string, name: string): boolean {
  const [covering, wanted] = [normalName(pattern), normalName(name)]
  if (covering === wanted) return true
  const dot = wanted.indexOf('.')
  return dot > 0 && covering.startsWith('*.') && covering.slice(1) === wanted.slice(dot) && !wanted.startsWith('*')
}

function checkLeaf(leaf: Certificate, spki: Uint8Array, names: readonly string[]): void {
  if (!sameKey(leaf.spki, spki)) throw new Fault('CERT_KEY_MISMATCH', 'the certificate is for another key than ours')
  const missing = names.filter((name) => !carries(leaf, name))
  if (missing.length > 0)
    throw new Fault(
      'CERT_NAME_MISMATCH',
      `the certificate is for ${shown(leaf)}, which leaves out ${missing.join(', ')}`,
    )
  if (leaf.isAuthority) throw new Fault('CERT_CHAIN', 'the first certificate is a CA, not the certificate of a server')
  checkServerUse(leaf, 'the certificate')
  if (has(leaf, EXTENSION.keyUsage) && !leaf.keyUsages.includes('digitalSignature'))
    throw new Fault('CERT_CHAIN', 'the key usage of the certificate leaves out digitalSignature, which TLS 1.3 needs')
  checkCritical(leaf, 'the certificate')
}

/**
 * Follows the chain up to the first certificate that an anchor issued, or that is one. What is sent beyond it is not
 * looked at, as clients do not (RFC 8446 §4.4.2): often it is a cross-certificate for older ones.
 */
function checkPath(path: readonly Certificate[], nowMs: number, anchors: readonly Uint8Array[]): void {
  const trusted = anchors.flatMap(readable)
  let failure: unknown
  for (const [index, current] of path.entries()) {
    if (anchors.some((anchor) => equalBytes(anchor, current.der))) return
    const below = path.slice(0, index + 1)
    for (const anchor of trusted.filter((each) => issued(each, current))) {
      try {
        checkIssuer(anchor, below, nowMs)
        return
      } catch (error) {
        // Another anchor may have the same name and key, or the chain may lead around this one.
        failure = error
      }
    }
    const next = path[index + 1]
    if (next) checkIssuer(next, below, nowMs)
  }
  if (failure) throw failure
  const last = path.at(-1)!
  throw new Fault('CERT_CHAIN', `${titleOf(last)} was issued by "${last.issuer}", which is no trust anchor of ours`)
}

/** `below` starts with the leaf and ends with the certificate that `issuer` must have signed (RFC 5280 §6.1.3, §6.1.4). */
function checkIssuer(issuer: Certificate, below: readonly Certificate[], nowMs: number): void {
  const [leaf, signed, title] = [below[0]!, below.at(-1)!, titleOf(issuer)]
  if (!equalBytes(signed.issuerDer, issuer.subjectDer))
    throw new Fault('CERT_CHAIN', `${titleOf(signed)} was issued by "${signed.issuer}", but ${title} comes next`)
  if (!isSignedBy(signed.signed, issuer.spki))
    throw new Fault('CERT_CHAIN', `${titleOf(signed)} does not bear the signature of ${title}`)
  if (!issuer.isAuthority) throw new Fault('CERT_CHAIN', `${title} is not a CA`)
  if (has(issuer, EXTENSION.keyUsage) && !issuer.keyUsages.includes('keyCertSign'))
    throw new Fault('CERT_CHAIN', `${title} may not sign certificates`)
  // Self-issued certificates (a CA that changes its key) do not count.
  const between = below.slice(1).filter((each) => !equalBytes(each.subjectDer, each.issuerDer)).length
  if (issuer.pathLength !== undefined && between > issuer.pathLength)
    throw new Fault('CERT_CHAIN', `${title} allows ${issuer.pathLength} CAs below it, and there are ${between}`)
  // Common practice rather than RFC 5280: a CA's extended usages limit what it certifies.
  checkServerUse(issuer, title)
  checkCritical(issuer, title)
  checkConstraints(issuer, leaf, title)
  checkDates(issuer, title, nowMs)
}

function checkDates({ notBeforeMs, notAfterMs }: Certificate, title: string, nowMs: number): void {
  const now = instant(nowMs)
  if (nowMs < notBeforeMs)
    throw new Fault('CERT_DATES', `${title} is not valid before ${instant(notBeforeMs)}; it is ${now} here`)
  if (nowMs >= notAfterMs)
    throw new Fault('CERT_DATES', `${title} expired at ${instant(notAfterMs)}; it is ${now} here`)
}

/** RFC 5280 §4.2.1.12: without the extension every use is allowed. */
function checkServerUse(certificate: Certificate, title: string): void {
  const { extendedKeyUsages: usages } = certificate
  if (has(certificate, EXTENSION.extendedKeyUsage) && !SERVER_USAGES.some((usage) => usages.includes(usage)))
    throw new Fault('CERT_CHAIN', `${title} is for ${usages.join(', ')}, not for servers`)
}
const SERVER_USAGES = ['serverAuth', ANY_EXTENDED_KEY_USAGE]

/** RFC 5280 §4.2: whoever does not understand a critical extension must refuse the certificate. */
function checkCritical({ extensions }: Certificate, title: string): void {
  const unknown = extensions.find(({ oid, critical }) => critical && !UNDERSTOOD.includes(oid))
  if (unknown) throw new Fault('CERT_CHAIN', `${title} has the critical extension ${unknown.oid}, which we do not know`)
}
/** Any policy will do for us, so certificatePolicies has nothing to say (RFC 5280 §6.1.1 c). */
const UNDERSTOOD: readonly string[] = [
  EXTENSION.basicConstraints,
  EXTENSION.keyUsage,
  EXTENSION.extendedKeyUsage,
  EXTENSION.subjectAltName,
  EXTENSION.nameConstraints,
  EXTENSION.certificatePolicies,
]

function checkConstraints({ extensions }: Certificate, leaf: Certificate, title: string): void {
  for (const { oid, der } of extensions) {
    const problem = oid === EXTENSION.nameConstraints ? constraintProblem(der, leaf) : undefined
    if (problem) throw new Fault('CERT_CHAIN', `${title} is confined: ${problem}`)
  }
}

function constraintProblem(constraints: Uint8Array, leaf: Certificate): string | undefined {
  try {
    return outsideConstraints(constraints, leaf)
  } catch (error) {
    if (!(error instanceof NotDer)) throw error
    return `its name constraints are malformed: ${error.message}`
  }
}

function carries({ dnsNames, ipAddresses }: Certificate, name: string): boolean {
  const address = ipToBytes(name)
  if (address) return ipAddresses.some((each) => equalBytes(ipToBytes(each)!, address))
  return dnsNames.some((pattern) => coversName(pattern, name))
}

function readable(der: Uint8Array): Certificate[] {
  try {
    return [parseCertificate(der)]
  } catch {
    return []
  }
}

const issued = (issuer: Certificate, certificate: Certificate): boolean =>
  equalBytes(certificate.issuerDer, issuer.subjectDer) && isSignedBy(certificate.signed, issuer.spki)

const has = ({ extensions }: Certificate, oid: string): boolean => extensions.some((each) => each.oid === oid)
const shown = ({ dnsNames, ipAddresses }: Certificate): string => [...dnsNames, ...ipAddresses].join(', ') || 'no name'
const titleOf = ({ subject }: Certificate): string => (subject === '' ? 'the certificate' : `"${subject}"`)
const instant = (ms: number): string => new Date(ms).toISOString().replace('.000Z', 'Z')
