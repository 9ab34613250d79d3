/** Why a certificate is revoked, as those it was issued to may say (RFC 5280 §5.3.1). The other codes are for CAs. */
export const REVOCATION_REASONS = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
} as const
export type RevocationReason = keyof typeof REVOCATION_REASONS
export const REVOCATION_REASON_NAMES = Object.keys(REVOCATION_REASONS).filter(
  (name): name is RevocationReason => name in REVOCATION_REASONS,
)

/** Undefined: no code, or one that only a CA may give. */
export function revocationReasonOf(code: unknown): RevocationReason | undefined {
  return REVOCATION_REASON_NAMES.find((name) => REVOCATION_REASONS[name] === code)
}
