import { createHash } from 'node:crypto'
import { equalBytes, toBase64url, toHex } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { bitStringBytes, constructedTag, countOf, DerReader, implicitTag, NotDer, TAG, timeOf } from './der-reader.ts'
import {
  type AuthorityFacts,
  authorityFactsOf,
  type Extension,
  type ExtensionFacts,
  factsOf,
  parseExtensions,
} from './extensions.ts'
import { nameText, parseName } from './name.ts'
import type { Signed } from './signature.ts'

/** What an X.509 certificate says (RFC 5280 §4.1). Nothing is judged here: see chain.ts. */
export interface Certificate extends ExtensionFacts, AuthorityFacts {
  readonly der: Uint8Array
  readonly spki: Uint8Array
  /** The content bytes of the serial number, as encoded: a leading `00` is part of it. */
  readonly serialHex: string
  /** For people; programs compare `subjectDer` and `issuerDer`. */
  readonly subject: string
  readonly issuer: string
  readonly subjectDer: Uint8Array
  readonly issuerDer: Uint8Array
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly extensions: readonly Extension[]
  readonly signed: Signed
}

/** Throws CERT_UNREADABLE for anything but one whole, strictly encoded certificate. */
export function parseCertificate(der: Uint8Array): Certificate {
  try {
    return parse(der)
  } catch (error) {
    if (!(error instanceof NotDer)) throw error
    throw new Fault('CERT_UNREADABLE', `the certificate is malformed: ${error.message}`, {}, error)
  }
}

/** The longest chain we read or keep; public ones have two to four certificates. */
export const CHAIN_LENGTH_MAX = 10

/** PEM blocks one after the other, no text and no empty lines between them (RFC 8555 §9.1 with erratum 5983). */
export function toPem(chain: readonly Uint8Array[]): string {
  return chain.map((der) => `${PEM_BEGIN}\n${linesOf(der)}\n${PEM_END}\n`).join('')
}

/** The certificates in a text, in order. Whatever stands between the blocks is passed over (RFC 7468 §2). */
export function fromPem(text: string, countMax = CHAIN_LENGTH_MAX): Uint8Array[] {
  if (text.length > countMax * PEM_CHARACTERS_MAX)
    throw new Fault('CERT_UNREADABLE', `${text.length} characters are too many for ${countMax} certificates`)
  const chain: Uint8Array[] = []
  for (let at = text.indexOf(PEM_BEGIN); at >= 0; at = text.indexOf(PEM_BEGIN, at)) {
    const start = at + PEM_BEGIN.length
    const end = text.indexOf(PEM_END, start)
    if (end < 0) throw new Fault('CERT_UNREADABLE', `PEM block ${chain.length + 1} has no end`)
    if (chain.length === countMax) throw new Fault('CERT_UNREADABLE', `there are more than ${countMax} certificates`)
    chain.push(fromBase64(text.slice(start, end), chain.length + 1))
    at = end + PEM_END.length
  }
  if (chain.length === 0) throw new Fault('CERT_UNREADABLE', 'there is no certificate in the text')
  return chain
}

/** SHA-256 in the form people compare by eye: `AB:CD:…`. */
export function fingerprint(der: Uint8Array): string {
  return createHash('sha256').update(der).digest('hex').toUpperCase().match(/../g)!.join(':')
}

/** The name of a certificate in renewal information: key identifier and serial number (RFC 9773 §4.1). */
export function certId(der: Uint8Array): string {
  const { authorityKeyId, serialHex } = parseCertificate(der)
  if (!authorityKeyId)
    throw new Fault('CERT_UNREADABLE', 'the certificate has no authority key identifier, so it has no renewal id')
  return `${toBase64url(authorityKeyId)}.${toBase64url(Buffer.from(serialHex, 'hex'))}`
}

const PEM_BEGIN = '-----BEGIN CERTIFICATE-----'
const PEM_END = '-----END CERTIFICATE-----'
/** Per certificate, with text around it: ten times what a large one needs. */
const PEM_CHARACTERS_MAX = 65_536

/** 64 characters a line (RFC 7468 §2). */
const linesOf = (der: Uint8Array): string =>
  Buffer.from(der)
    .toString('base64')
    .replaceAll(/.{64}(?!$)/g, '$&\n')

function fromBase64(block: string, number: number): Uint8Array {
  const text = block.replaceAll(/\s/g, '')
  if (text.length % 4 !== 0 || !/^[A-Za-z\d+/]+={0,2}$/.test(text))
    throw new Fault('CERT_UNREADABLE', `PEM block ${number} is not base64`)
  return Buffer.from(text, 'base64')
}

function parse(bytes: Uint8Array): Certificate {
  const outer = DerReader.over(bytes, TAG.sequence)
  const tbs = outer.take(TAG.sequence)
  const algorithm = outer.take(TAG.sequence).der
  const signature = bitStringBytes(outer.take(TAG.bitString))
  outer.end()

  const fields = DerReader.inside(tbs)
  const version = fields.maybe(constructedTag(0))
  if (version && countOf(DerReader.whole(version.content, TAG.integer)) > VERSION_3)
    throw new NotDer('its version is unknown')
  const serial = fields.take(TAG.integer).content
  // The signature covers only the inner one (RFC 5280 §4.1.1.2).
  if (!equalBytes(fields.take(TAG.sequence).der, algorithm)) throw new NotDer('it names two signature algorithms')
  const issuer = fields.take(TAG.sequence)
  const validity = fields.open(TAG.sequence)
  const [notBeforeMs, notAfterMs] = [timeOf(validity.take()), timeOf(validity.take())]
  validity.end()
  const subject = fields.take(TAG.sequence)
  const spki = fields.take(TAG.sequence).der
  // Unique identifiers: read by nobody, written by nobody since 1999 (RFC 5280 §4.1.2.8).
  fields.maybe(implicitTag(1))
  fields.maybe(implicitTag(2))
  const list = fields.maybe(constructedTag(3))
  fields.end()

  const extensions = list ? parseExtensions(DerReader.over(list.content, TAG.sequence)) : []
  return {
    der: bytes,
    spki,
    serialHex: toHex(serial),
    subject: nameText(parseName(DerReader.inside(subject))),
    issuer: nameText(parseName(DerReader.inside(issuer))),
    subjectDer: subject.der,
    issuerDer: issuer.der,
    notBeforeMs,
    notAfterMs,
    extensions,
    signed: { tbs: tbs.der, algorithm, signature },
    ...factsOf(extensions),
    ...authorityFactsOf(extensions),
  }
}

/** Versions count from zero (RFC 5280 §4.1.2.1). */
const VERSION_3 = 2
