/** Every object identifier we read or write, by the name its RFC gives it. */

/** RFC 5280 §4.2 and appendix A. */
export const EXTENSION = {
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  cRLDistributionPoints: '2.5.29.31',
  certificatePolicies: '2.5.29.32',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  /** RFC 9608: nobody will publish a revocation of this certificate. */
  noRevAvail: '2.5.29.56',
  authorityInfoAccess: '1.3.6.1.5.5.7.1.1',
} as const

/** The subject fields a CSR template can name (RFC 9115 appendix A). */
export const SUBJECT_FIELD = {
  country: '2.5.4.6',
  stateOrProvince: '2.5.4.8',
  locality: '2.5.4.7',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
  emailAddress: '1.2.840.113549.1.9.1',
  commonName: '2.5.4.3',
} as const

export type SubjectField = keyof typeof SUBJECT_FIELD

/** RFC 5280 §4.2.1.12. */
export const EXTENDED_KEY_USAGE = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
  codeSigning: '1.3.6.1.5.5.7.3.3',
  emailProtection: '1.3.6.1.5.5.7.3.4',
  timeStamping: '1.3.6.1.5.5.7.3.8',
  OCSPSigning: '1.3.6.1.5.5.7.3.9',
} as const

export const ANY_EXTENDED_KEY_USAGE = '2.5.29.37.0'

/** Bit numbers of RFC 5280 §4.2.1.3 are the places in this list. */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const

export type KeyUsage = (typeof KEY_USAGES)[number]

/** RFC 5480 §2.1.1.1, under the names RFC 9115 appendix A uses. */
export const CURVE = {
  secp256r1: '1.2.840.10045.3.1.7',
  secp384r1: '1.3.132.0.34',
  secp521r1: '1.3.132.0.35',
} as const

export const PUBLIC_KEY = {
  rsaEncryption: '1.2.840.113549.1.1.1',
  'id-ecPublicKey': '1.2.840.10045.2.1',
  'id-Ed25519': '1.3.101.112',
} as const

/** RFC 2985 §5.4.2: the one PKCS#10 attribute a delegated request may carry. */
export const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'

/** The names in one of these tables, in its order. */
export function keysOf<T extends object>(table: T): (keyof T & string)[] {
  return Object.keys(table).filter((key): key is keyof T & string => Object.hasOwn(table, key))
}

/** Whether DER can hold it: two arcs or more, and below 2 the second one is under 40 (X.660 §7.6). */
export const isObjectId = (text: string): boolean => /^([01]\.([1-3]?\d)|2\.(0|[1-9]\d*))(\.(0|[1-9]\d*))*$/.test(text)

/** The name of an identifier in one of the tables above, or the dotted text itself. */
export function nameIn(table: Readonly<Record<string, string>>, oid: string): string {
  return Object.keys(table).find((name) => table[name] === oid) ?? oid
}
