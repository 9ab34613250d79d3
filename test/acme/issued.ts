import type { IssuedCertificate, IssuedCertificates } from '../../src/acme/server/options.ts'
import type { ReplacementRow } from '../../src/acme/server/rows.ts'
import { certId } from '../../src/pki/certificate.ts'
import { generateKey, spkiOf } from '../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../src/pki/sign.ts'
import { memoryTable } from '../../src/store/memory.ts'

const DAY_MS = 86_400_000
/** 2026-11-24, when the clock of these tests starts. */
export const NOT_BEFORE_MS = Date.UTC(2026, 10, 24)
export const NOT_AFTER_MS = NOT_BEFORE_MS + 6 * DAY_MS

/** Certificates that a server gave out, with the reasons of those that were revoked. */
export async function issuedCertificates() {
  const rootKey = await generateKey('p256')
  const dates = { notBeforeMs: NOT_BEFORE_MS, notAfterMs: NOT_AFTER_MS }
  const certificate = await createRoot({ commonName: 'Test root', keyPem: rootKey, ...dates })
  const known = new Map<string, IssuedCertificate>()
  const revoked = new Map<string, Parameters<IssuedCertificates['revoke']>[1]>()
  const issued: IssuedCertificates = {
    async find(id) {
      const found = known.get(id)
      return found && { ...found, revoked: revoked.has(id) }
    },
    revoke: async (id, asked) => void revoked.set(id, asked),
    replacements: memoryTable<ReplacementRow>(),
  }
  return {
    issued,
    revoked,
    async issue(account: string, dnsNames: readonly string[], more: Partial<IssuedCertificate> = {}) {
      const keyPem = await generateKey('p256')
      const leaf = await signLeaf({
        spki: spkiOf(keyPem),
        dnsNames,
        ...dates,
        issuer: { certificate, keyPem: rootKey },
      })
      const id = certId(leaf)
      known.set(id, { account, leaf, star: false, revoked: false, ...more })
      return { id, keyPem, leaf, certificate: Buffer.from(leaf).toString('base64url') }
    },
  }
}
