import type { Stored } from '../../core/table.ts'
import type { JsonObject } from '../json.ts'
import type { AccountKey } from '../jws.ts'
import type { AcmeRequest } from './exchange.ts'
import type { AccountRow } from './rows.ts'

export type Verb = 'GET' | 'HEAD' | 'POST'

export interface Endpoint {
  readonly verbs: readonly Verb[]
  readonly path: `/${string}`
  /** Who signs a POST: an account (`kid`), a key shown in the request (`jwk`). `get-or-kid`: unsigned GET is fine too. */
  readonly auth: 'kid' | 'jwk' | 'kid-or-jwk' | 'get-or-kid'
  /** `empty` is POST-as-GET (RFC 8555 §6.3); `any` is that or a JSON object. */
  readonly body: 'empty' | 'json' | 'any'
  /** Found with a doubled or a trailing slash as well, because clients put this URL together themselves (RFC 9773 §4.1). */
  readonly looseSlashes?: true
}

/** The whole server. A handler runs only after its row's checks, and gets their results as typed arguments. */
export const ENDPOINTS = {
  directory: { verbs: ['GET', 'HEAD', 'POST'], path: '/directory', auth: 'get-or-kid', body: 'empty' }, // RFC 8555 §7.1.1
  newNonce: { verbs: ['HEAD', 'GET', 'POST'], path: '/new-nonce', auth: 'get-or-kid', body: 'empty' }, // RFC 8555 §7.2
  newAccount: { verbs: ['POST'], path: '/new-account', auth: 'jwk', body: 'json' }, // RFC 8555 §7.3
  account: { verbs: ['POST'], path: '/account/:account', auth: 'kid', body: 'any' }, // RFC 8555 §7.3.2, §7.3.6
  orders: { verbs: ['POST'], path: '/account/:account/orders', auth: 'kid', body: 'empty' }, // RFC 8555 §7.1.2.1
  delegations: { verbs: ['POST'], path: '/account/:account/delegations', auth: 'kid', body: 'empty' }, // RFC 9115 §2.3.1.2
  delegation: { verbs: ['POST'], path: '/delegation/:delegation', auth: 'kid', body: 'empty' }, // RFC 9115 §2.3.1.3
  newOrder: { verbs: ['POST'], path: '/new-order', auth: 'kid', body: 'json' }, // RFC 8555 §7.4, RFC 9115 §2.3.2
  order: { verbs: ['POST'], path: '/order/:order', auth: 'kid', body: 'any' }, // RFC 8555 §7.1.3, RFC 8739 §3.1.2
  authorization: { verbs: ['POST'], path: '/order/:order/authorization/:index', auth: 'kid', body: 'any' }, // RFC 8555 §7.5
  challenge: { verbs: ['POST'], path: '/order/:order/challenge/:index', auth: 'kid', body: 'any' }, // RFC 8555 §7.5.1
  finalize: { verbs: ['POST'], path: '/order/:order/finalize', auth: 'kid', body: 'json' }, // RFC 8555 §7.4
  certificate: { verbs: ['GET', 'HEAD', 'POST'], path: '/cert/:certificate', auth: 'get-or-kid', body: 'empty' }, // RFC 8739 §3.3
  keyChange: { verbs: ['POST'], path: '/key-change', auth: 'kid', body: 'json' }, // RFC 8555 §7.3.5
  revokeCert: { verbs: ['POST'], path: '/revoke-cert', auth: 'kid-or-jwk', body: 'json' }, // RFC 8555 §7.6
  // RFC 9773 §4.1
  renewalInfo: {
    verbs: ['GET', 'HEAD'],
    path: '/renewal-info/:certificate',
    auth: 'get-or-kid',
    body: 'empty',
    looseSlashes: true,
  },
} as const satisfies Record<string, Endpoint>

export type EndpointName = keyof typeof ENDPOINTS
export const ENDPOINT_NAMES = Object.keys(ENDPOINTS).filter((name): name is EndpointName => name in ENDPOINTS)

/** The names after the colons of a path. */
type ParamOf<Path extends string> = Path extends `${string}:${infer Name}/${infer Rest}`
  ? Name | ParamOf<Rest>
  : Path extends `${string}:${infer Name}`
    ? Name
    : never
export type Params<N extends EndpointName> = Readonly<Record<ParamOf<(typeof ENDPOINTS)[N]['path']>, string>>

/** What the signature check of each kind of row found out. */
interface Signers {
  readonly kid: { readonly account: Stored<AccountRow> }
  readonly jwk: { readonly key: AccountKey }
  readonly 'kid-or-jwk': Signers['kid'] | Signers['jwk']
  readonly 'get-or-kid': { readonly account: Stored<AccountRow> | undefined }
}
interface Payloads {
  readonly empty: unknown
  readonly json: { readonly payload: JsonObject }
  readonly any: { readonly payload: JsonObject | undefined }
}

/** A request that has passed the checks of its row. */
export type Call<N extends EndpointName> = {
  readonly request: AcmeRequest
  readonly url: string
  readonly params: Params<N>
} & Signers[(typeof ENDPOINTS)[N]['auth']] &
  Payloads[(typeof ENDPOINTS)[N]['body']]
