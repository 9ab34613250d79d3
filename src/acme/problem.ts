import { isJsonObject } from './json.ts'
import type { Identifier } from './resource.ts'

/** RFC 8555 §6.7, RFC 8739 §6.2, RFC 9115 §6.4: error type → the status we send when nothing more fitting is known. */
export const PROBLEMS = {
  accountDoesNotExist: 400,
  alreadyReplaced: 409,
  alreadyRevoked: 400,
  autoRenewalCanceled: 403,
  autoRenewalCancellationInvalid: 400,
  autoRenewalExpired: 403,
  autoRenewalRevocationNotSupported: 403,
  badCSR: 400,
  badNonce: 400,
  badPublicKey: 400,
  badRevocationReason: 400,
  badSignatureAlgorithm: 400,
  caa: 403,
  compound: 400,
  connection: 400,
  dns: 400,
  externalAccountRequired: 403,
  incorrectResponse: 400,
  invalidContact: 400,
  invalidProfile: 400,
  malformed: 400,
  orderNotReady: 403,
  rateLimited: 429,
  rejectedIdentifier: 400,
  serverInternal: 500,
  tls: 400,
  unauthorized: 403,
  unknownDelegation: 403,
  unsupportedContact: 400,
  unsupportedIdentifier: 400,
  userActionRequired: 403,
} as const satisfies Record<string, number>

/** A short name of the table; anything else a server invents stays the full URI it sent. */
export type ProblemType = keyof typeof PROBLEMS | `${string}:${string}`

export interface Subproblem {
  readonly type: ProblemType
  readonly detail: string
  readonly identifier?: Identifier
}

/** RFC 7807 as RFC 8555 uses it: what travels and what an order keeps under `error`. */
export interface ProblemDocument {
  readonly type: string
  readonly detail: string
  readonly status?: number
  readonly instance?: string
  readonly subproblems?: readonly { readonly type: string; readonly detail: string; readonly identifier?: Identifier }[]
  /** Only with badSignatureAlgorithm: what the server would take (RFC 8555 §6.2). */
  readonly algorithms?: readonly string[]
}

export interface ProblemExtras {
  readonly status?: number
  readonly subproblems?: readonly Subproblem[]
  readonly instance?: string
  readonly algorithms?: readonly string[]
  /** Response headers the problem brings along: Allow, Location, Link. */
  readonly headers?: Readonly<Record<string, string | string[]>>
  /** Client side: how long the server asked us to stay away. */
  readonly retryAfterMs?: number
}

/** What an ACME server says when it refuses. The server throws it, the client receives it. */
export class AcmeProblem extends Error {
  readonly type: ProblemType
  readonly detail: string
  readonly status: number
  readonly subproblems: readonly Subproblem[]
  readonly instance: string | undefined
  readonly algorithms: readonly string[] | undefined
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly retryAfterMs: number | undefined

  constructor(type: ProblemType, detail: string, extras: ProblemExtras = {}) {
    super(`${type}: ${detail}`)
    this.name = 'AcmeProblem'
    this.type = type
    this.detail = detail
    this.status = extras.status ?? (isKnown(type) ? PROBLEMS[type] : 500)
    this.subproblems = extras.subproblems ?? []
    this.instance = extras.instance
    this.algorithms = extras.algorithms
    this.headers = extras.headers ?? {}
    this.retryAfterMs = extras.retryAfterMs
  }

  /** Undefined when the value is no problem document. Foreign text is cut to a length a log line can bear. */
  static fromDocument(value: unknown, extras: ProblemExtras = {}): AcmeProblem | undefined {
    if (!isJsonObject(value)) return undefined
    const { detail = value['title'] ?? '', type = 'about:blank', instance, subproblems, algorithms } = value
    if (typeof detail !== 'string' || typeof type !== 'string') return undefined
    return new AcmeProblem(shortType(type), cut(detail), {
      ...(typeof value['status'] === 'number' ? { status: value['status'] } : {}),
      ...(typeof instance === 'string' ? { instance: cut(instance) } : {}),
      ...(Array.isArray(algorithms) ? { algorithms: algorithms.filter((name) => typeof name === 'string') } : {}),
      subproblems: Array.isArray(subproblems) ? subproblems.slice(0, SUBPROBLEMS_MAX).flatMap(parseSubproblem) : [],
      ...extras,
    })
  }

  toDocument(): ProblemDocument {
    return {
      type: problemUri(this.type),
      detail: this.detail,
      status: this.status,
      ...(this.instance === undefined ? {} : { instance: this.instance }),
      ...(this.algorithms === undefined ? {} : { algorithms: this.algorithms }),
      ...(this.subproblems.length === 0
        ? {}
        : { subproblems: this.subproblems.map((sub) => ({ ...sub, type: problemUri(sub.type) })) }),
    }
  }
}

export function problemUri(type: ProblemType): string {
  return isKnown(type) ? PREFIX + type : type
}

const PREFIX = 'urn:ietf:params:acme:error:'
/** One per name of the largest order anybody accepts. */
const SUBPROBLEMS_MAX = 100
const DETAIL_CHARS_MAX = 1000

function shortType(uri: string): ProblemType {
  const short = uri.startsWith(PREFIX) ? uri.slice(PREFIX.length) : uri
  if (isKnown(short)) return short
  const [scheme = '', ...rest] = cut(uri).split(':')
  return rest.length > 0 ? `${scheme}:${rest.join(':')}` : `about:${scheme}`
}

function isKnown(type: string): type is keyof typeof PROBLEMS {
  return Object.hasOwn(PROBLEMS, type)
}

function parseSubproblem(value: unknown): Subproblem[] {
  if (!isJsonObject(value) || typeof value['type'] !== 'string') return []
  const { type, detail } = value
  const identifier = parseIdentifier(value['identifier'])
  return [
    {
      type: shortType(type),
      detail: typeof detail === 'string' ? cut(detail) : '',
      ...(identifier ? { identifier } : {}),
    },
  ]
}

function parseIdentifier(value: unknown): Identifier | undefined {
  if (!isJsonObject(value)) return undefined
  const { type, value: name } = value
  return typeof type === 'string' && typeof name === 'string' ? { type: cut(type), value: cut(name) } : undefined
}

function cut(text: string): string {
  return text.length > DETAIL_CHARS_MAX ? `${text.slice(0, DETAIL_CHARS_MAX)}…` : text
}
