import { isJsonObject, type JsonObject, parseJson } from '../../json.ts'
import { checkAlgorithm, type ParsedJws, parseJws } from '../../jws.ts'
import { AcmeProblem } from '../../problem.ts'
import type { Endpoint } from '../endpoints.ts'
import type { AcmeRequest } from '../exchange.ts'

/** The largest real request, a CSR for an RSA-4096 key with a hundred names, is about 12 kB. */
const BODY_BYTES_MAX = 64 * 1024
const BASE64URL = /^[\w-]+$/

/** A JWS whose header has everything RFC 8555 §6.2 wants; neither nonce nor signature has been looked at. */
export interface Envelope {
  readonly jws: ParsedJws
  readonly nonce: string | undefined
  readonly signer: { readonly kid: string } | { readonly jwk: unknown }
}

export function openEnvelope(request: AcmeRequest, url: string): Envelope {
  if (request.headers['content-type'] !== 'application/jose+json') {
    throw new AcmeProblem('malformed', 'the content type must be application/jose+json', { status: 415 })
  }
  if (request.body.length > BODY_BYTES_MAX) {
    throw new AcmeProblem('malformed', `requests have at most ${BODY_BYTES_MAX} bytes`, { status: 413 })
  }
  // RFC 8555 §6.5.1: the header is for responses; a nonce is only good inside the signature.
  if (request.headers['replay-nonce'] !== undefined) throw malformed('Replay-Nonce is a response header')
  const jws = parseJws(parseJson(request.body))
  checkAlgorithm(jws.header['alg'])
  if (jws.header['url'] !== url) {
    throw new AcmeProblem('unauthorized', `the request was signed for another URL than ${url}`)
  }
  return { jws, nonce: nonceOf(jws.header), signer: signerOf(jws.header) }
}

/** The payload, as the row of the table wants it. */
export function readPayload({ jws }: Envelope, { body }: Endpoint): JsonObject | undefined {
  if (jws.payload.length === 0) {
    if (body === 'json') throw malformed('the payload must be a JSON object; an empty one is POST-as-GET')
    return undefined
  }
  if (body === 'empty') throw malformed('the payload must be empty (POST-as-GET)')
  const payload = parseJson(jws.payload)
  if (!isJsonObject(payload)) throw malformed('the payload is not a JSON object')
  return payload
}

function nonceOf({ nonce }: JsonObject): string | undefined {
  if (nonce === undefined) return undefined
  if (typeof nonce !== 'string' || !BASE64URL.test(nonce)) throw malformed('the nonce is not base64url')
  return nonce
}

function signerOf({ jwk, kid }: JsonObject): Envelope['signer'] {
  if ((jwk === undefined) === (kid === undefined)) throw malformed('the header must have either "jwk" or "kid"')
  if (kid === undefined) return { jwk }
  if (typeof kid !== 'string') throw malformed('"kid" is not a string')
  return { kid }
}

function malformed(detail: string): AcmeProblem {
  return new AcmeProblem('malformed', detail)
}
