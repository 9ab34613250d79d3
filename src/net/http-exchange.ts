import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'

/** One HTTP exchange, bounded in time and size. */

export interface TransportResponse {
  readonly status: number
  /** Lower-case names; a header that came several times is joined with commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

interface Exchange {
  readonly body: Uint8Array | undefined
  readonly signal: AbortSignal | undefined
  /** From the first packet to the last byte of the answer. */
  readonly timeoutMs: number
  readonly bodyBytesMax: number
}

export async function exchange(request: ClientRequest, options: Exchange): Promise<TransportResponse> {
  const { body, signal, timeoutMs, bodyBytesMax } = options
  let current: ClientRequest | IncomingMessage = request
  const stop = (reason: string): void => void current.destroy(new OutOfBounds(reason))
  const onAbort = (): void => stop('aborted')
  const timer = setTimeout(() => stop(`no whole answer within ${timeoutMs} ms`), timeoutMs)
  signal?.addEventListener('abort', onAbort, { once: true })
  // Also when nobody waits for it any more.
  request.on('error', () => {})
  try {
    signal?.throwIfAborted()
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      request.once('response', resolve).once('error', reject).end(body)
    })
    current = incoming
    const bytes = await readBody(incoming, bodyBytesMax)
    if (!bytes) throw new OutOfBounds(`the answer is larger than ${bodyBytesMax} bytes`)
    return { status: incoming.statusCode ?? 0, headers: joinedHeaders(incoming.headers), body: bytes }
  } catch (error) {
    request.destroy()
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', onAbort)
  }
}

class OutOfBounds extends Error {}

/** Undefined when it is too large: the rest is then left unread. */
export async function readBody(incoming: Readable, bytesMax: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of incoming.iterator({ destroyOnReturn: false })) {
    length += chunk.length
    if (length > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export function joinedHeaders(headers: IncomingMessage['headers']): Record<string, string> {
  const joined: Record<string, string> = {}
  for (const [name, value] of Object.entries(headers)) {
    if (name === ':authority') joined['host'] ??= String(value)
    else if (!name.startsWith(':') && value !== undefined)
      joined[name] = typeof value === 'string' ? value : value.join(', ')
  }
  return joined
}

/** What a person can act on. */
export function reasonOfFailure(error: unknown): string {
  if (error instanceof OutOfBounds) return error.message
  return REASONS[codeOf(error)] ?? 'the connection failed'
}

/** System errors, and certificate checks by the names of verify(1). */
const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'its certificate has expired',
  CERT_NOT_YET_VALID: 'its certificate is not valid yet; is the clock right?',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another name',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is self-signed and not a trust anchor of ours',
  SELF_SIGNED_CERT_IN_CHAIN: 'its chain ends in a root that is not a trust anchor of ours',
  UNABLE_TO_GET_ISSUER_CERT: 'its chain does not lead to a trust anchor of ours',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its chain does not lead to a trust anchor of ours',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its chain does not lead to a trust anchor of ours',
  CERT_SIGNATURE_FAILURE: 'a signature in its chain is wrong',
  INVALID_CA: 'its chain contains a certificate that may not issue others',
  INVALID_PURPOSE: 'its certificate is not one for servers',
  CERT_REVOKED: 'its certificate is revoked',
  EPROTO: 'the TLS handshake failed; does it speak TLS on this port?',
  ECONNREFUSED: 'nobody listens there',
  ECONNRESET: 'it closed the connection',
  ENOTFOUND: 'the name has no address',
  EAI_AGAIN: 'the name could not be looked up; is DNS working?',
  ETIMEDOUT: 'it does not answer',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
}

export function codeOf(error: unknown): string {
  return (error instanceof Error && (error as NodeJS.ErrnoException).code) || ''
}
