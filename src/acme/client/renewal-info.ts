import { certId } from '../../pki/certificate.ts'
import { isJsonObject } from '../json.ts'
import { AcmeProblem } from '../problem.ts'
import { parseDateMs } from '../resource.ts'
import type { AcmeClient } from './plumbing.ts'
import { TOO_MANY_REQUESTS } from './refusal.ts'

export interface RenewalWindow {
  readonly startMs: number
  readonly endMs: number
  /** How long the answer holds; the authority is asked neither sooner nor much later. */
  readonly askAgainAfterMs: number
}

const ASK_AGAIN_MS_MIN = 60_000
const ASK_AGAIN_MS_MAX = 86_400_000
/** When it does not say. */
const ASK_AGAIN_MS = 21_600_000

/**
 * When the authority wants this certificate renewed (RFC 9773 §4.2). `leaf` is DER. Undefined: it has no opinion on it, or
 * one that makes no sense. No answer is Fault ACME_UNREACHABLE; being asked to wait, its problem with the time it gives.
 */
export async function renewalWindow(
  client: AcmeClient,
  leaf: Uint8Array,
  signal: AbortSignal,
): Promise<RenewalWindow | undefined> {
  const { renewalInfo } = await client.directory(signal)
  if (renewalInfo === undefined) return undefined
  try {
    const { content, retryAfterMs = ASK_AGAIN_MS } = await client.getPlain(
      `${renewalInfo.replace(/\/+$/, '')}/${certId(leaf)}`,
      signal,
    )
    const window = isJsonObject(content) ? content['suggestedWindow'] : undefined
    const startMs = isJsonObject(window) ? parseDateMs(window['start']) : undefined
    const endMs = isJsonObject(window) ? parseDateMs(window['end']) : undefined
    if (startMs === undefined || endMs === undefined || endMs <= startMs) return undefined
    return { startMs, endMs, askAgainAfterMs: boundedAskAgainMs(retryAfterMs) }
  } catch (error) {
    if (error instanceof AcmeProblem && error.status < 500 && error.status !== TOO_MANY_REQUESTS) return undefined
    throw error
  }
}

/** An authority may ask for less or more; nobody gains by it (RFC 9773 §4.3.2). */
export function boundedAskAgainMs(afterMs: number): number {
  return Math.min(ASK_AGAIN_MS_MAX, Math.max(ASK_AGAIN_MS_MIN, afterMs))
}
