import { isIP } from 'node:net'
import type { Clock } from '../core/clock.ts'
import { toPem } from '../pki/certificate.ts'
import { generateKey, spkiOf } from '../pki/key.ts'
import type { Keep } from '../store/kept.ts'
import { openIssuingCa } from './authority/internal.ts'
import type { OperatorConfig } from './config.ts'

const BACKDATED_MS = 3_600_000
/** Made anew at every start; a service that runs longer without an update has other problems. */
const LIFETIME_MS = 397 * 86_400_000

/**
 * What the API itself presents: the certificate of the settings, or one of our own CA for the host of the base URL.
 * `rootPem` is then what routers need as `trust`.
 */
export async function apiCertificate(
  config: OperatorConfig,
  keep: Keep,
  clock: Clock,
): Promise<{ readonly tls: { readonly key: string; readonly cert: string }; readonly rootPem?: string }> {
  if (config.listen.tls) return { tls: config.listen.tls }
  const host = new URL(config.baseUrl).hostname.replace(/^\[|\]$/g, '')
  const ca = await openIssuingCa('internal', keep, clock)
  const keyPem = await generateKey('p256')
  const notBeforeMs = clock.nowMs() - BACKDATED_MS
  const chain = await ca.sign({
    spki: spkiOf(keyPem),
    ...(isIP(host) === 0 ? { dnsNames: [host] } : { dnsNames: [], ipAddresses: [host] }),
    notBeforeMs,
    notAfterMs: notBeforeMs + LIFETIME_MS,
  })
  return { tls: { key: keyPem, cert: toPem(chain) }, rootPem: ca.rootPem }
}
