/** How long an authority has for one certificate, dns-01 included. */
export const ISSUE_MS_MAX = 240_000

/** What the publisher wants from a CA. */
export interface CertificateWish {
  readonly names: readonly string[]
  /** DER PKCS#10, as the router finalized it. */
  readonly csr: Uint8Array
  /** The dates RFC 8739 §3.5 gives this certificate. A CA that chooses its own dates may ignore them. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** One CA behind us, whatever its kind (design §3.7). */
export interface Authority {
  readonly id: string
  /** PEM, when the root is our own and clients have to be given it. */
  readonly rootPem?: string
  /** DER, leaf first, root left out. Throws a Fault when this CA cannot issue now. */
  issue(wish: CertificateWish, signal: AbortSignal): Promise<readonly Uint8Array[]>
}
