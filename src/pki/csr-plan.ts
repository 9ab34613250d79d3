import { Fault } from '../core/fault.ts'
import type { CsrRequest } from './csr.ts'
import type { CsrTemplate, TemplateKey, TemplateSubject } from './csr-template.ts'
import { isDnsName, normalName } from './general-names.ts'
import type { KeyType } from './key.ts'
import { COMMON_NAME_LENGTH_MAX, type DistinguishedName } from './name.ts'
import { EXTENDED_KEY_USAGE, isObjectId, keysOf, nameIn, SUBJECT_FIELD, type SubjectField } from './object-ids.ts'
import { dnsRules, MANDATORY, OPTIONAL } from './template-values.ts'

/** What a request must look like, names and key apart: `createCsr({ ...plan, keyPem, dnsNames: names })`. */
export interface CsrPlan extends Omit<CsrRequest, 'keyPem' | 'dnsNames' | 'ipAddresses'> {
  readonly keyType: KeyType
}

/** Values for the subject fields that a template leaves to the client. */
export type SubjectChoices = Readonly<Partial<Record<SubjectField, string>>>

/**
 * The client's side of a template: what a request for exactly these names must hold to fit. Throws DELEGATION_MISSING
 * when none can. Of several key types the operator's first is taken; fields it leaves optional are left out.
 */
export function planCsr(template: CsrTemplate, names: readonly string[], choices: SubjectChoices = {}): CsrPlan {
  checkNames(template, names)
  const { subjectAltName, keyUsage, extendedKeyUsage } = template.extensions
  return {
    ...planKey(template.keyTypes),
    subject: planSubject(template.subject ?? {}, names, choices),
    emails: [...new Set(subjectAltName.Email)],
    uris: [...new Set(subjectAltName.URI)],
    keyUsages: [...new Set(keyUsage)],
    extendedKeyUsages: planUsages(extendedKeyUsage ?? []),
  }
}

function planKey(keyTypes: readonly TemplateKey[]): {
  keyType: KeyType
  signatureAlgorithm: TemplateKey['SignatureType']
} {
  for (const entry of keyTypes) {
    const keyType = keyTypeFor(entry)
    if (keyType) return { keyType, signatureAlgorithm: entry.SignatureType }
  }
  throw unfit('it allows no kind of key that we make: EC on P-256 or P-384, RSA of 2048 bits')
}

function keyTypeFor(entry: TemplateKey): KeyType | undefined {
  if (entry.PublicKeyType === 'rsaEncryption') return entry.PublicKeyLength === 2048 ? 'rsa2048' : undefined
  return entry.namedCurve === 'secp256r1' ? 'p256' : entry.namedCurve === 'secp384r1' ? 'p384' : undefined
}

/** In the order of the fields in RFC 9115 appendix A; the operator does not look at it. */
function planSubject(subject: TemplateSubject, names: readonly string[], choices: SubjectChoices): DistinguishedName {
  const fields = keysOf(SUBJECT_FIELD).filter((field) => (subject[field] ?? OPTIONAL) !== OPTIONAL)
  return fields.map((field) => {
    const wanted = subject[field]!
    const value = wanted === MANDATORY ? chosenValue(field, names, choices) : wanted
    if (field === 'commonName' && !names.map(normalName).includes(normalName(value)))
      throw unfit(`it wants the common name ${value}, which is not among the names asked for`)
    return [{ oid: SUBJECT_FIELD[field], value }]
  })
}

function chosenValue(field: SubjectField, names: readonly string[], choices: SubjectChoices): string {
  const value = choices[field] ?? (field === 'commonName' ? names.find(isShort) : undefined)
  if (!value) throw unfit(`it leaves ${field} of the subject to us, and we have none`)
  return value
}

const isShort = (name: string): boolean => name.length <= COMMON_NAME_LENGTH_MAX

function checkNames(template: CsrTemplate, names: readonly string[]): void {
  const wanted = [...new Set(names.map(normalName))]
  const { literals, chosenMin, chosenMax } = dnsRules(template)
  const wrong = wanted.find((name) => !isDnsName(name))
  if (wrong !== undefined) throw unfit(`${JSON.stringify(wrong)} is not a DNS name`)
  const lacking = literals.filter((name) => !wanted.includes(name))
  if (lacking.length > 0) throw unfit(`it is for ${literals.join(', ')}, and ${lacking.join(', ')} was not asked for`)
  const chosen = wanted.filter((name) => !literals.includes(name))
  const wildcard = chosen.find((name) => name.startsWith('*'))
  if (wildcard !== undefined) throw unfit(`it does not list the wildcard name ${wildcard}`)
  if (chosen.length > chosenMax) throw unfit(`${chosen.join(', ')}: it leaves ${chosenMax} names to us`)
  if (chosen.length < chosenMin) throw unfit(`it wants ${chosenMin} names besides ${literals.join(', ') || 'none'}`)
}

function planUsages(usages: readonly string[]): string[] {
  const wrong = usages.find((usage) => !Object.hasOwn(EXTENDED_KEY_USAGE, usage) && !isObjectId(usage))
  if (wrong !== undefined) throw unfit(`no certificate can hold the extended key usage ${wrong}`)
  return [...new Set(usages.map((usage) => nameIn(EXTENDED_KEY_USAGE, usage)))]
}

const unfit = (reason: string): Fault => new Fault('DELEGATION_MISSING', `the delegation does not fit: ${reason}`)
