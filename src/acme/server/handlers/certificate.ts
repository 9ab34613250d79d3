import { createHash } from 'node:crypto'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { PublishedCertificate } from '../options.ts'
import { methodNotAllowed } from '../steps/route.ts'

const ENDED = {
  autoRenewalCanceled: 'the identifier owner has cancelled this certificate; there will be no other',
  autoRenewalExpired: 'the last certificate of this order has been issued',
} as const

/** RFC 8555 §7.4.2 for the account that ordered it; plain GET for everybody where the order allows it (RFC 8739 §3.4). */
export async function certificate(call: Call<'certificate'>, context: AcmeContext): Promise<Reply> {
  const { account, params, request } = call
  const found = await context.certificates.read(params.certificate)
  if (!found) throw new AcmeProblem('malformed', 'there is no such certificate', { status: 404 })
  if (account && found.account !== account.id) {
    throw new AcmeProblem('unauthorized', "this certificate is another account's")
  }
  if (!account && !found.getAllowed) throw methodNotAllowed(['POST'])
  if (found.ended) throw new AcmeProblem(found.ended, ENDED[found.ended])
  const content = { type: 'application/pem-certificate-chain', text: found.pem }
  if (account) return { status: 200, headers: datesOf(found), content }
  const etag = `"${createHash('sha256').update(found.pem).digest('base64url')}"`
  const headers = { ...datesOf(found), 'Cache-Control': cacheControl(found, context.clock.nowMs()), ETag: etag }
  if (isHeld(request.headers['if-none-match'], etag)) return { status: 304, headers }
  return { status: 200, headers, content }
}

/** RFC 8739 §3.3: the same dates as in the leaf, for clients that read no X.509. */
function datesOf({ notBeforeMs, notAfterMs }: PublishedCertificate): Record<string, string> {
  return {
    'Cert-Not-Before': new Date(notBeforeMs).toUTCString(),
    'Cert-Not-After': new Date(notAfterMs).toUTCString(),
  }
}

/** No cache shows a certificate past its end (RFC 8739 §4.3), nor one that has a successor. */
function cacheControl({ nextChangeMs, notAfterMs }: PublishedCertificate, nowMs: number): string {
  const maxAgeS = Math.floor((Math.min(nextChangeMs, notAfterMs) - nowMs) / 1000)
  return `public, max-age=${Math.max(0, maxAgeS)}`
}

/** RFC 9110 §13.1.2: weak comparison, any of a list. */
function isHeld(ifNoneMatch: string | undefined, etag: string): boolean {
  const held = (ifNoneMatch ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''))
  return held.includes(etag) || held.includes('*')
}
