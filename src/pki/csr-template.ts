import { Fault } from '../core/fault.ts'
import { isDnsName, isEmail, isUri, normalName } from './general-names.ts'
import { RSA_BITS_MAX } from './key.ts'
import { COMMON_NAME_LENGTH_MAX } from './name.ts'
import {
  CURVE,
  EXTENDED_KEY_USAGE,
  KEY_USAGES,
  type KeyUsage,
  keysOf,
  SUBJECT_FIELD,
  type SubjectField,
} from './object-ids.ts'
import { type SignatureName, signatureNamesFor } from './signature.ts'
import { Member } from './template-member.ts'
import { isWildcard } from './template-values.ts'

// One import serves both ends of a delegation: the operator reads and checks, the router reads and plans.
export { type CsrContext, type CsrProblem, checkCsr } from './csr-check.ts'
export { type CsrPlan, planCsr } from './csr-plan.ts'

/** The CSR template of RFC 9115 §4, member for member: what a delegate's certificate request must look like. */
export interface CsrTemplate {
  readonly keyTypes: readonly TemplateKey[]
  readonly subject?: TemplateSubject
  readonly extensions: {
    readonly subjectAltName: {
      readonly DNS?: TemplateTexts
      readonly Email?: TemplateTexts
      readonly URI?: TemplateTexts
    }
    readonly keyUsage?: readonly KeyUsage[]
    /** Names of RFC 5280 §4.2.1.12, or dotted identifiers. */
    readonly extendedKeyUsage?: readonly string[]
  }
}

export type TemplateSubject = Readonly<Partial<Record<SubjectField, string>>>
type TemplateTexts = readonly string[]

export type TemplateKey =
  | { readonly PublicKeyType: 'rsaEncryption'; readonly PublicKeyLength: number; readonly SignatureType: SignatureName }
  | { readonly PublicKeyType: 'id-ecPublicKey'; readonly namedCurve: Curve; readonly SignatureType: SignatureName }
type Curve = keyof typeof CURVE

/**
 * Throws CONFIG_INVALID with every problem. Where schema and prose of RFC 9115 disagree, the CDDL of appendix A decides,
 * and nothing is let through that no certificate could hold.
 */
export function parseCsrTemplate(json: unknown): CsrTemplate {
  const problems: string[] = []
  const root = Member.root(json, problems)
  root.allow(['keyTypes', 'subject', 'extensions'])
  const keyTypes = root.required('keyTypes').list(parseKey)
  const subject = root.optional('subject')
  const extensions = root.required('extensions')
  extensions.allow(['subjectAltName', 'keyUsage', 'extendedKeyUsage'])
  const keyUsage = extensions.optional('keyUsage')?.list((usage) => usage.oneOf(KEY_USAGES))
  const extendedKeyUsage = extensions.optional('extendedKeyUsage')?.list(parseExtendedUsage)
  const template: CsrTemplate = {
    keyTypes,
    ...(subject && { subject: parseSubject(subject) }),
    extensions: {
      subjectAltName: parseNames(extensions.required('subjectAltName')),
      ...(keyUsage && { keyUsage }),
      ...(extendedKeyUsage && { extendedKeyUsage }),
    },
  }
  if (problems.length === 0) return template
  throw new Fault('CONFIG_INVALID', `the CSR template is wrong: ${problems.join('; ')}`, { problems })
}

function parseKey(key: Member): TemplateKey {
  const type = key.required('PublicKeyType')
  const PublicKeyType = type.oneOf(['id-ecPublicKey', 'rsaEncryption'] as const)
  // What else an entry says cannot be judged without its type.
  if (!type.isGood) return STAND_IN
  const signature = key.required('SignatureType')
  if (PublicKeyType === 'rsaEncryption') {
    key.allow(['PublicKeyType', 'PublicKeyLength', 'SignatureType'])
    const PublicKeyLength = key.required('PublicKeyLength').integer(RSA_BITS_MIN, RSA_BITS_MAX)
    return { PublicKeyType, PublicKeyLength, SignatureType: signature.oneOf(signatureNamesFor('rsa')) }
  }
  key.allow(['PublicKeyType', 'namedCurve', 'SignatureType'])
  const curve = key.required('namedCurve')
  const namedCurve = curve.oneOf(keysOf(CURVE))
  const SignatureType = signature.oneOf(signatureNamesFor('ec'))
  // RFC 9115 appendix A pairs them in a comment only, and asks the recipient to check that they go together.
  if (curve.isGood && SignatureType !== CURVE_SIGNATURE[namedCurve])
    signature.complain(`must be ${CURVE_SIGNATURE[namedCurve]} for ${namedCurve}`)
  return { PublicKeyType, namedCurve, SignatureType }
}

const STAND_IN: TemplateKey = {
  PublicKeyType: 'id-ecPublicKey',
  namedCurve: 'secp256r1',
  SignatureType: 'ecdsa-with-SHA256',
}

/** Shorter ones are not safe, and no public CA certifies them; the RFC sets no floor. */
const RSA_BITS_MIN = 2048

const CURVE_SIGNATURE: Record<Curve, SignatureName> = {
  secp256r1: 'ecdsa-with-SHA256',
  secp384r1: 'ecdsa-with-SHA384',
  secp521r1: 'ecdsa-with-SHA512',
}

function parseSubject(subject: Member): TemplateSubject {
  const fields = keysOf(SUBJECT_FIELD)
  subject.allow(fields)
  const found = fields.flatMap((field) => {
    const member = subject.optional(field)
    return member ? [[field, parseSubjectValue(field, member)] as const] : []
  })
  if (found.length === 0) subject.complain('must hold at least one field; leave it out when the subject must be empty')
  return Object.fromEntries(found)
}

function parseSubjectValue(field: SubjectField, member: Member): string {
  const [fits, rule] = SUBJECT_LITERAL[field]
  return member.textThat((value) => isWildcard(value) || fits(value), `${rule}, or be "*" or "**"`)
}

/** Upper bounds of RFC 5280 appendix A.1. The common name must be in the SAN as well, so it is a DNS name. */
const SUBJECT_LITERAL: Record<SubjectField, readonly [fits: (value: string) => boolean, rule: string]> = {
  country: [(value) => /^[A-Z]{2}$/i.test(value), 'be a country code of two letters'],
  stateOrProvince: [(value) => isPlain(value, 128), 'have 1 to 128 characters'],
  locality: [(value) => isPlain(value, 128), 'have 1 to 128 characters'],
  organization: [(value) => isPlain(value, 64), 'have 1 to 64 characters'],
  organizationalUnit: [(value) => isPlain(value, 64), 'have 1 to 64 characters'],
  emailAddress: [isEmail, 'be one e-mail address'],
  commonName: [
    (value) => isDnsName(value) && value.length <= COMMON_NAME_LENGTH_MAX,
    'be a DNS name of up to 64 characters',
  ],
}

const isPlain = (value: string, lengthMax: number): boolean =>
  value !== '' && value.length <= lengthMax && !/\p{Cc}/u.test(value)

function parseNames(names: Member): CsrTemplate['extensions']['subjectAltName'] {
  names.allow(['DNS', 'Email', 'URI'])
  const DNS = names.optional('DNS')?.list(parseDnsName)
  // Literals only, in the CDDL as in the JSON schema: `*` and `**` are no addresses.
  const Email = names.optional('Email')?.list((name) => name.textThat(isEmail, 'be one e-mail address'))
  const URI = names.optional('URI')?.list((name) => name.textThat(isUri, 'be one absolute URI'))
  if (!DNS && !Email && !URI) names.complain('must hold at least one of DNS, Email, URI')
  return { ...(DNS && { DNS }), ...(Email && { Email }), ...(URI && { URI }) }
}

/** A literal may be a wildcard name, `*.x.example`: only the whole texts `*` and `**` are special. */
function parseDnsName(name: Member): string {
  const fits = (text: string): boolean => isWildcard(text) || isDnsName(normalName(text))
  return normalName(name.textThat(fits, 'be a DNS name, "*" or "**"'))
}

function parseExtendedUsage(usage: Member): string {
  const fits = (text: string): boolean =>
    Object.hasOwn(EXTENDED_KEY_USAGE, text) || /^[0-2](\.(0|[1-9]\d*))*$/.test(text)
  return usage.textThat(fits, `be one of ${Object.keys(EXTENDED_KEY_USAGE).join(', ')}, or an object identifier`)
}
