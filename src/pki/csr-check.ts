import type { Csr } from './csr.ts'
import type { CsrTemplate, TemplateKey, TemplateSubject } from './csr-template.ts'
import { isDnsName, normalName } from './general-names.ts'
import type { PublicKeyDescription } from './key.ts'
import type { NameAttribute } from './name.ts'
import {
  EXTENDED_KEY_USAGE,
  EXTENSION,
  EXTENSION_REQUEST,
  keysOf,
  nameIn,
  SUBJECT_FIELD,
  type SubjectField,
} from './object-ids.ts'
import { dnsRules, isWildcard, OPTIONAL } from './template-values.ts'

/** One reason why a request does not fit; becomes a subproblem (RFC 9115 §2.3.2, RFC 8555 §6.7.1). */
export interface CsrProblem {
  readonly kind: 'badCSR' | 'rejectedIdentifier'
  readonly detail: string
  /** The DNS name at fault. */
  readonly identifier?: string
}

export interface CsrContext {
  /** The DNS names of the order. */
  readonly identifiers: readonly string[]
  /** Local policy for the names a client may choose (RFC 9115 §4.1). Never asked about wildcard names: only a literal grants those. */
  readonly allowName: (name: string) => boolean
}

/** Every reason why a request does not fit the template (RFC 9115 §4.1); none means it may be forwarded. */
export function checkCsr(csr: Csr, template: CsrTemplate, context: CsrContext): CsrProblem[] {
  return [
    ...checkKey(csr, template.keyTypes),
    ...checkSubject(csr, template.subject ?? {}),
    ...checkAttributes(csr),
    ...checkExtensions(csr, template),
    ...checkUsages('keyUsage', csr.keyUsages, template.extensions.keyUsage),
    ...checkUsages('extendedKeyUsage', csr.extendedKeyUsages, template.extensions.extendedKeyUsage?.map(usageName)),
    ...checkDnsNames(csr, template, context),
    ...checkOrderNames(csr, context),
    ...checkOtherNames(csr, template),
    ...checkCommonName(csr),
  ]
}

const bad = (detail: string): CsrProblem => ({ kind: 'badCSR', detail })
const missing = (identifier: string, detail: string): CsrProblem => ({ kind: 'badCSR', detail, identifier })
const rejected = (identifier: string, detail: string): CsrProblem => ({
  kind: 'rejectedIdentifier',
  detail,
  identifier,
})

/** `keyTypes` is a choice, not a field: key and signature must both match one and the same entry. */
function checkKey({ publicKey, signatureAlgorithm }: Csr, keyTypes: readonly TemplateKey[]): CsrProblem[] {
  const fitting = keyTypes.filter((entry) => isKeyOf(entry, publicKey))
  if (fitting.length === 0)
    return [bad(`the key is ${keyText(publicKey)}; the template wants ${keyTypes.map(entryText).join(' or ')}`)]
  if (fitting.some((entry) => entry.SignatureType === signatureAlgorithm)) return []
  const wanted = fitting.map((entry) => entry.SignatureType).join(' or ')
  return [bad(`the request is signed with ${signatureAlgorithm}; for this key the template wants ${wanted}`)]
}

function isKeyOf(entry: TemplateKey, key: PublicKeyDescription): boolean {
  return entry.PublicKeyType === 'rsaEncryption'
    ? key.kind === 'rsa' && key.bits === entry.PublicKeyLength
    : key.kind === 'ec' && key.curve === entry.namedCurve
}

function checkSubject({ subject }: Csr, template: TemplateSubject): CsrProblem[] {
  const wide = subject.some((set) => set.length > 1) ? [bad('a part of the subject has more than one attribute')] : []
  const attributes = subject.flat()
  const extra = attributes
    .filter(({ oid }) => !Object.hasOwn(template, nameIn(SUBJECT_FIELD, oid)))
    .map(({ oid }) => bad(`the subject holds ${nameIn(SUBJECT_FIELD, oid)}, which the template does not name`))
  const fields = keysOf(template).flatMap((field) => checkSubjectField(field, template[field]!, attributes))
  return [...wide, ...extra, ...fields]
}

function checkSubjectField(field: SubjectField, wanted: string, attributes: readonly NameAttribute[]): CsrProblem[] {
  const values = attributes.filter(({ oid }) => oid === SUBJECT_FIELD[field]).map(({ value }) => value)
  const [value] = values
  if (values.length > 1) return [bad(`the subject holds ${field} ${values.length} times`)]
  if (value === undefined) return wanted === OPTIONAL ? [] : [bad(`the subject lacks ${field}`)]
  if (value === '') return [bad(`the subject holds an empty ${field}`)]
  if (isWildcard(wanted) || sameValue(field, value, wanted)) return []
  return [bad(`${field} is ${JSON.stringify(value)}; the template wants ${JSON.stringify(wanted)}`)]
}

/** Country codes and host names have no case; everything else is compared to the letter. */
const sameValue = (field: SubjectField, value: string, wanted: string): boolean =>
  field === 'country' || field === 'commonName' ? value.toLowerCase() === wanted.toLowerCase() : value === wanted

/** A challengePassword or any other attribute is something the template does not name (RFC 9115 §4). */
function checkAttributes({ attributes }: Csr): CsrProblem[] {
  const extra = attributes
    .filter(({ oid }) => oid !== EXTENSION_REQUEST)
    .map(({ oid }) => bad(`the request holds the attribute ${oid}; only an extension request is allowed`))
  const requests = attributes.filter(({ oid }) => oid === EXTENSION_REQUEST)
  const isOnce = requests.length === 1 && requests[0]!.count === 1
  return isOnce ? extra : [...extra, bad('the request must hold exactly one extension request')]
}

function checkExtensions({ extensions }: Csr, { extensions: template }: CsrTemplate): CsrProblem[] {
  const allowed = keysOf(template).map((name): string => EXTENSION[name])
  const oids = extensions.map(({ oid }) => oid)
  const extra = new Set(oids.filter((oid) => !allowed.includes(oid)))
  const repeated = new Set(oids.filter((oid, index) => oids.indexOf(oid) < index))
  return [
    ...[...extra].map((oid) =>
      bad(`the request holds the extension ${nameIn(EXTENSION, oid)}, which the template does not name`),
    ),
    ...[...repeated].map((oid) => bad(`the request holds the extension ${nameIn(EXTENSION, oid)} more than once`)),
  ]
}

/** The listed usages are literals, so the request holds these and no others. */
function checkUsages(extension: string, found: readonly string[], wanted: readonly string[] | undefined): CsrProblem[] {
  // An extension that the template does not name at all is reported as such.
  return wanted ? checkLiterals(extension, found, wanted) : []
}

function checkLiterals(place: string, found: readonly string[], wanted: readonly string[]): CsrProblem[] {
  const lacking = wanted.filter((usage) => !found.includes(usage))
  const extra = found.filter((usage) => !wanted.includes(usage))
  return [
    ...lacking.map((usage) => bad(`${place} lacks ${usage}`)),
    ...extra.map((usage) => bad(`${place} holds ${usage}, which the template does not name`)),
  ]
}

/** Every literal is there; of the others, as many as there are wildcards, each allowed by local policy. */
function checkDnsNames(csr: Csr, template: CsrTemplate, { allowName }: CsrContext): CsrProblem[] {
  const { literals, chosenMin, chosenMax } = dnsRules(template)
  const names = csr.dnsNames.map((name) => name.toLowerCase())
  const chosen = names.filter((name) => !literals.includes(name))
  return [
    ...literals.filter((name) => !names.includes(name)).map((name) => missing(name, 'the SAN lacks this name')),
    ...chosen.flatMap((name) => checkChosenName(name, chosenMax, allowName)),
    ...names
      .filter((name, index) => names.indexOf(name) < index)
      .map((name) => rejected(name, 'the SAN holds this name more than once')),
    ...(chosen.length < chosenMin
      ? [bad(`the SAN needs ${chosenMin} DNS names of your choice and holds ${chosen.length}`)]
      : []),
    ...(chosen.length > chosenMax && chosenMax > 0
      ? [bad(`the SAN may hold ${chosenMax} DNS names of your choice and holds ${chosen.length}`)]
      : []),
  ]
}

function checkChosenName(name: string, chosenMax: number, allowName: (name: string) => boolean): CsrProblem[] {
  if (!isDnsName(name)) return [rejected(name, 'this is not a DNS name')]
  if (chosenMax === 0) return [rejected(name, 'the template does not name it')]
  if (name.startsWith('*')) return [rejected(name, 'a wildcard name must stand in the template')]
  return allowName(name) ? [] : [rejected(name, 'this name is not assigned to you')]
}

/** RFC 8555 §7.4: the request is for the names of the order, all of them and no others. */
function checkOrderNames({ dnsNames }: Csr, { identifiers }: CsrContext): CsrProblem[] {
  const names = new Set(dnsNames.map((name) => name.toLowerCase()))
  const ordered = new Set(identifiers.map(normalName))
  return [
    ...[...names].filter((name) => !ordered.has(name)).map((name) => rejected(name, 'this name is not in the order')),
    ...[...ordered]
      .filter((name) => !names.has(name))
      .map((name) => missing(name, 'the order has it, the SAN lacks it')),
  ]
}

function checkOtherNames(csr: Csr, { extensions: { subjectAltName } }: CsrTemplate): CsrProblem[] {
  const others =
    csr.otherNames === 0 ? [] : [bad(`the SAN holds ${csr.otherNames} names that are neither DNS, e-mail nor URI`)]
  return [
    ...checkLiterals('the SAN', csr.emails, subjectAltName.Email ?? []),
    ...checkLiterals('the SAN', csr.uris, subjectAltName.URI ?? []),
    ...csr.ipAddresses.map((address) => bad(`the SAN holds the IP address ${address}; a template cannot allow any`)),
    ...others,
  ]
}

function checkCommonName({ subject, dnsNames }: Csr): CsrProblem[] {
  const names = dnsNames.map((name) => name.toLowerCase())
  const common = subject.flat().filter(({ oid }) => oid === SUBJECT_FIELD.commonName)
  return common
    .filter(({ value }) => !names.includes(value.toLowerCase()))
    .map(({ value }) => bad(`the common name ${JSON.stringify(value)} is not in the SAN`))
}

/** A template may write a usage as its identifier; requests are read with names. */
const usageName = (usage: string): string => nameIn(EXTENDED_KEY_USAGE, usage)

function keyText(key: PublicKeyDescription): string {
  return key.kind === 'rsa'
    ? `RSA of ${key.bits} bits`
    : key.kind === 'ec'
      ? `on curve ${key.curve}`
      : `of type ${key.oid}`
}

const entryText = (entry: TemplateKey): string =>
  entry.PublicKeyType === 'rsaEncryption' ? `RSA of ${entry.PublicKeyLength} bits` : `curve ${entry.namedCurve}`
