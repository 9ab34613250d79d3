import type { Csr } from '../../../pki/csr.ts'
import type { PublicKeyDescription } from '../../../pki/key.ts'
import { SUBJECT_FIELD } from '../../../pki/object-ids.ts'
import type { CsrProblem } from '../options.ts'

/** What public CAs certify; longer RSA keys cost every handshake and protect nobody. */
const CURVES = ['secp256r1', 'secp384r1']
const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 4096

/**
 * What a CSR without a template is held to (RFC 8555 §7.4): names of the order and nothing beside them, a key that a CA
 * takes. What else common clients put in, a subject or usages, is the CA's to heed or to leave.
 */
export function plainCsrProblems(csr: Csr): CsrProblem[] {
  const { subject, dnsNames, emails, uris, ipAddresses, otherNames, publicKey } = csr
  const names = dnsNames.map((name) => name.toLowerCase())
  const commonNames = subject.flat().filter(({ oid }) => oid === SUBJECT_FIELD.commonName)
  const foreign = commonNames.filter(({ value }) => value !== '' && !names.includes(value.toLowerCase()))
  const odd = emails.length + uris.length + ipAddresses.length + otherNames
  return [
    ...(isTaken(publicKey)
      ? []
      : [bad(`the key must be RSA of ${RSA_BITS_MIN} to ${RSA_BITS_MAX} bits, P-256 or P-384`)]),
    ...foreign.map(({ value }) => bad(`the common name ${JSON.stringify(value)} is not in the SAN`)),
    ...(odd === 0 ? [] : [bad(`the SAN holds ${odd} names that are no DNS names`)]),
  ]
}

function isTaken(key: PublicKeyDescription): boolean {
  if (key.kind === 'rsa') return key.bits >= RSA_BITS_MIN && key.bits <= RSA_BITS_MAX
  return key.kind === 'ec' && CURVES.includes(key.curve)
}

function bad(detail: string): CsrProblem {
  return { kind: 'badCSR', detail }
}
