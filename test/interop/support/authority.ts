import { toPem } from '../../../src/pki/certificate.ts'
import { generateKey, spkiOf } from '../../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../../src/pki/sign.ts'

const DAY_MS = 86_400_000

/** A root for the HTTPS and TLS of the other programs of a test. */
export interface TestAuthority {
  readonly rootPem: string
  /** Valid from an hour ago for a week, unless told otherwise. */
  certify(subject: {
    readonly dnsNames: readonly string[]
    readonly ipAddresses?: readonly string[]
    readonly notBeforeMs?: number
    readonly notAfterMs?: number
  }): Promise<{ readonly key: string; readonly chain: string }>
}

export async function makeAuthority(commonName: string): Promise<TestAuthority> {
  const nowMs = Math.floor(Date.now() / 1000) * 1000
  const rootKey = await generateKey('p256')
  const dates = { notBeforeMs: nowMs - 30 * DAY_MS, notAfterMs: nowMs + 30 * DAY_MS }
  const root = await createRoot({ commonName, keyPem: rootKey, ...dates })
  return {
    rootPem: toPem([root]),
    async certify(subject) {
      const key = await generateKey('p256')
      const leaf = await signLeaf({
        issuer: { certificate: root, keyPem: rootKey },
        spki: spkiOf(key),
        notBeforeMs: nowMs - DAY_MS / 24,
        notAfterMs: nowMs + 7 * DAY_MS,
        ...subject,
      })
      return { key, chain: toPem([leaf]) }
    },
  }
}
