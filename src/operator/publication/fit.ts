import { Fault } from '../../core/fault.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import { checkIdentity } from '../../pki/chain.ts'
import { parseCsr } from '../../pki/csr.ts'
import { normalName } from '../../pki/general-names.ts'
import type { CertificateWish } from '../authority/authority.ts'

/** A CA whose clock is ahead of ours. */
const SKEW_MS_MAX = 600_000

/**
 * Whether what a CA issued is what was asked for: the CSR's key, exactly the order's names, a chain of which each signed
 * the one before, valid now or from the wished date on. Throws CERT_*: such a certificate is never published.
 */
export function checkIssued(chain: readonly Uint8Array[], wish: CertificateWish, nowMs: number): void {
  const leaf = chain[0] && parseCertificate(chain[0])
  if (!leaf) throw new Fault('CERT_CHAIN', 'the authority returned no certificate')
  if (leaf.notBeforeMs > Math.max(nowMs, wish.notBeforeMs) + SKEW_MS_MAX)
    throw new Fault(
      'CERT_DATES',
      `the certificate starts at ${new Date(leaf.notBeforeMs).toISOString()}, later than asked for`,
    )
  const extra = leaf.dnsNames.map(normalName).filter((name) => !wish.names.includes(name))
  if (extra.length > 0 || leaf.ipAddresses.length > 0)
    throw new Fault(
      'CERT_NAME_MISMATCH',
      `the certificate names more than was asked for: ${[...extra, ...leaf.ipAddresses].join(', ')}`,
    )
  checkIdentity({
    chain,
    spki: parseCsr(wish.csr).spki,
    names: wish.names,
    nowMs: Math.max(nowMs, leaf.notBeforeMs),
    // Whom routers believe is not for us to know: the last certificate stands for its root.
    anchors: chain.slice(-1),
  })
}
