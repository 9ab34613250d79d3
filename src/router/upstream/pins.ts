import { createHash } from 'node:crypto'
import { equalBytes } from '../../core/bytes.ts'
import { type Certificate, CHAIN_LENGTH_MAX, parseCertificate } from '../../pki/certificate.ts'
import { isSignedBy } from '../../pki/signature.ts'

/**
 * `sha256/BASE64=`: the hash of a public key that an upstream must hold (RFC 7858 §4.2). In one spelling, so that pins can
 * be compared as text. Undefined for anything else.
 */
export function parsePin(text: string): string | undefined {
  const base64 = /^sha256\/([A-Za-z0-9+/]{43}=)$/.exec(text)?.[1]
  return base64 !== undefined && Buffer.from(base64, 'base64').toString('base64') === base64 ? text : undefined
}

export function pinOf(spki: Uint8Array): string {
  return `sha256/${createHash('sha256').update(spki).digest('base64')}`
}

/**
 * The certificates whose word counts, leaf first: each is signed by the next. What a server sends beside them proves
 * nothing, because anyone may send anyone's certificate. Throws CERT_UNREADABLE.
 */
export function signedPath(presented: readonly Uint8Array[]): readonly Certificate[] {
  const [leaf, ...others] = presented.slice(0, CHAIN_LENGTH_MAX).map(parseCertificate)
  if (!leaf) return []
  const path = [leaf]
  for (const issuer of others) {
    const last = path.at(-1)!
    const isIssuer = issuer.isAuthority && equalBytes(last.issuerDer, issuer.subjectDer)
    if (!isIssuer || !isSignedBy(last.signed, issuer.spki)) break
    path.push(issuer)
  }
  return path
}

/** Any certificate of the path may be the pinned one (RFC 7858 §4.2). */
export function fitsPin(path: readonly Certificate[], pins: readonly string[]): boolean {
  return path.some(({ spki }) => pins.includes(pinOf(spki)))
}
