import { parseCertificate } from '../../../pki/certificate.ts'
import { AcmeProblem } from '../../problem.ts'
import { buildDate, type RenewalInfo } from '../../resource.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import { jsonReply, type Reply } from '../exchange.ts'
import type { IssuedCertificate } from '../options.ts'

/** How often a client looks again (RFC 9773 §4.3): a quarter of a day, as public CAs ask for. */
const LOOK_AGAIN_S = 6 * 3600
const HOUR_MS = 3_600_000

/** RFC 9773 §4.1: unsigned, for whoever knows the id of a certificate. */
export async function renewalInfo({ params }: Call<'renewalInfo'>, context: AcmeContext): Promise<Reply> {
  const found = await context.issued?.find(params.certificate)
  // What renews by itself has its times in the order (RFC 8739 §3.3).
  if (!found || found.star) {
    throw new AcmeProblem('malformed', 'there is no certificate with this renewal id', { status: 404 })
  }
  const { startMs, endMs } = windowOf(found, context.clock.nowMs())
  const resource: RenewalInfo = { suggestedWindow: { start: buildDate(startMs), end: buildDate(endMs) } }
  return jsonReply(200, resource, { 'Retry-After': String(LOOK_AGAIN_S) })
}

/** A revoked one should have been replaced already; others after two thirds of their life, spread over a sixth of it. */
function windowOf({ revoked, renewal, leaf }: IssuedCertificate, nowMs: number): { startMs: number; endMs: number } {
  if (revoked) return { startMs: wholeSeconds(nowMs - 2 * HOUR_MS), endMs: wholeSeconds(nowMs - HOUR_MS) }
  if (renewal) return renewal
  const { notBeforeMs, notAfterMs } = parseCertificate(leaf)
  const lifeMs = notAfterMs - notBeforeMs
  return { startMs: wholeSeconds(notBeforeMs + (lifeMs * 2) / 3), endMs: wholeSeconds(notBeforeMs + (lifeMs * 5) / 6) }
}

const wholeSeconds = (ms: number): number => Math.floor(ms / 1000) * 1000
