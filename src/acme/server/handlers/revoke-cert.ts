import { createPublicKey } from 'node:crypto'
import { equalBytes, fromBase64url } from '../../../core/bytes.ts'
import { Fault } from '../../../core/fault.ts'
import { type Certificate, certId, parseCertificate } from '../../../pki/certificate.ts'
import { REVOCATION_REASONS, revocationReasonOf } from '../../../pki/revocation-reason.ts'
import { accountKeyOf } from '../../jws.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { IssuedCertificate } from '../options.ts'

/**
 * RFC 8555 §7.6: by the account that ordered the certificate, by one that may have all its names, or by its own key. What
 * renews by itself is cancelled instead, whoever asks (RFC 8739 §3.1.3).
 */
export async function revokeCert(call: Call<'revokeCert'>, context: AcmeContext): Promise<Reply> {
  const { payload } = call
  const leaf = readLeaf(payload['certificate'])
  const { reason: code = REVOCATION_REASONS.unspecified } = payload
  const reason = revocationReasonOf(code)
  const found = await findIssued(leaf, context)
  if (!found) throw new AcmeProblem('malformed', 'this server has not given out that certificate', { status: 404 })
  if (!(await mayRevoke(call, leaf, found, context))) {
    throw new AcmeProblem('unauthorized', 'sign with the account that ordered the certificate, or with its own key')
  }
  if (found.star) {
    throw new AcmeProblem('autoRenewalRevocationNotSupported', 'this certificate renews by itself; cancel its order')
  }
  if (reason === undefined) {
    throw new AcmeProblem('badRevocationReason', `"reason" is one of ${Object.values(REVOCATION_REASONS).join(', ')}`)
  }
  if (found.revoked) throw new AcmeProblem('alreadyRevoked', 'that certificate is revoked')
  await context.issued!.revoke(certId(leaf.der), { reason, ...('account' in call ? { account: call.account.id } : {}) })
  return { status: 200 }
}

function readLeaf(certificate: unknown): Certificate {
  const der = typeof certificate === 'string' ? fromBase64url(certificate) : undefined
  if (!der) throw new AcmeProblem('malformed', '"certificate" is not base64url without padding')
  try {
    return parseCertificate(der)
  } catch (error) {
    if (error instanceof Fault && error.code === 'CERT_UNREADABLE') throw new AcmeProblem('malformed', error.message)
    throw error
  }
}

/** Every byte must be the same: an id alone can be put into a certificate by anyone. */
async function findIssued(leaf: Certificate, { issued }: AcmeContext): Promise<IssuedCertificate | undefined> {
  if (!leaf.authorityKeyId) return undefined
  const found = await issued?.find(certId(leaf.der))
  return found && equalBytes(found.leaf, leaf.der) ? found : undefined
}

async function mayRevoke(
  call: Call<'revokeCert'>,
  leaf: Certificate,
  found: IssuedCertificate,
  { preauthorized }: AcmeContext,
): Promise<boolean> {
  if ('account' in call) {
    if (call.account.id === found.account) return true
    const names = leaf.dnsNames.map((name) => name.toLowerCase())
    return names.length > 0 && preauthorized !== undefined && (await preauthorized(call.account.id, names)).length === 0
  }
  const own = await accountKeyOf(createPublicKey({ key: Buffer.from(leaf.spki), format: 'der', type: 'spki' }))
  return own?.thumbprint === call.key.thumbprint
}
