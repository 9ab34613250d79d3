import { createHmac, timingSafeEqual } from 'node:crypto'
import { fromBase64url } from '../../../core/bytes.ts'
import { isJsonObject, parseJson } from '../../json.ts'
import { type AccountKey, type FlattenedJws, type ParsedJws, parseJws } from '../../jws.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'

const HASH_OF_ALGORITHM: Readonly<Record<string, string>> = { HS256: 'sha256', HS384: 'sha384', HS512: 'sha512' }

export interface ExternalAccountProof {
  readonly kid: string
  readonly binding: FlattenedJws
  /** The account that has used the kid before. */
  readonly boundTo?: string
}

/**
 * RFC 8555 §7.3.4: whoever shows an account key also holds the key we gave to one customer. Undefined when this server
 * asks for no binding.
 */
export async function checkExternalAccount(
  binding: unknown,
  outer: { readonly key: AccountKey; readonly url: string },
  { externalAccounts }: AcmeContext,
): Promise<ExternalAccountProof | undefined> {
  if (!externalAccounts) return undefined
  if (binding === undefined) {
    throw new AcmeProblem('externalAccountRequired', 'send "externalAccountBinding", made with the key you were given')
  }
  const jws = parseJws(binding)
  const { hash, kid } = readHeader(jws, outer.url)
  const known = await externalAccounts.find(kid)
  // One answer for both, so that nobody learns which kids exist.
  if (!known || !hasMac(jws, hash, known.key)) {
    throw new AcmeProblem('unauthorized', 'the external account is unknown, or the binding was made with another key')
  }
  if (!isSameKey(parseJson(jws.payload), outer.key)) {
    throw new AcmeProblem('malformed', 'the binding is for another account key than the one that signed the request')
  }
  return { kid, binding: jws.flattened, ...(known.boundTo === undefined ? {} : { boundTo: known.boundTo }) }
}

function readHeader({ header }: ParsedJws, url: string): { hash: string; kid: string } {
  const { alg, kid } = header
  const hash = typeof alg === 'string' && Object.hasOwn(HASH_OF_ALGORITHM, alg) ? HASH_OF_ALGORITHM[alg] : undefined
  if (hash === undefined) throw malformed('the binding\'s "alg" must be HS256, HS384 or HS512')
  if (typeof kid !== 'string') throw malformed('the binding has no "kid"')
  if ('nonce' in header) throw malformed('the binding must not have a nonce')
  if (header['url'] !== url) throw malformed('the binding was made for another URL than the request')
  return { hash, kid }
}

function hasMac({ flattened }: ParsedJws, hash: string, key: Uint8Array): boolean {
  const mac = createHmac(hash, key).update(`${flattened.protected}.${flattened.payload}`).digest()
  const given = fromBase64url(flattened.signature)
  return given?.length === mac.length && timingSafeEqual(given, mac)
}

/** Equal required members mean equal thumbprints. */
function isSameKey(shown: unknown, { jwk }: AccountKey): boolean {
  return isJsonObject(shown) && Object.entries(jwk).every(([member, value]) => shown[member] === value)
}

function malformed(detail: string): AcmeProblem {
  return new AcmeProblem('malformed', detail)
}
