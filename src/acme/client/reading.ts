import { Fault } from '../../core/fault.ts'
import { isJsonObject, type JsonObject } from '../json.ts'
import { AcmeProblem, type ProblemDocument } from '../problem.ts'
import type {
  Account,
  Authorization,
  AutoRenewal,
  Challenge,
  Delegation,
  Directory,
  DirectoryMeta,
  Identifier,
  Order,
  OrderStatus,
} from '../resource.ts'
import { parseDateMs } from '../resource.ts'

/** JSON of a foreign server → the types of resource.ts. What we use is checked, the rest is left out. Fault ACME_PROTOCOL. */

/** Nobody orders or lists more than this in one object. */
const ITEMS_MAX = 1000

export function readDirectory(content: unknown): Directory {
  const directory = objectOf(content, 'the directory')
  const meta = directory['meta'] === undefined ? {} : objectOf(directory['meta'], 'meta of the directory')
  return {
    newNonce: urlAt(directory, 'newNonce'),
    newAccount: urlAt(directory, 'newAccount'),
    newOrder: urlAt(directory, 'newOrder'),
    ...optional(directory, 'revokeCert', urlAt),
    ...optional(directory, 'keyChange', urlAt),
    ...optional(directory, 'renewalInfo', urlAt),
    meta: readMeta(meta),
  }
}

export function readAccount(content: unknown): Account {
  const account = objectOf(content, 'the account')
  return {
    status: oneOf(account, 'status', ['valid', 'deactivated', 'revoked'] as const),
    ...optional(account, 'orders', urlAt),
    ...optional(account, 'delegations', urlAt),
  }
}

const ORDER_STATUSES: readonly OrderStatus[] = ['pending', 'ready', 'processing', 'valid', 'invalid', 'canceled']

export function readOrder(content: unknown): Order {
  const order = objectOf(content, 'the order')
  return {
    status: oneOf(order, 'status', ORDER_STATUSES),
    identifiers: listOf(order, 'identifiers').map(readIdentifier),
    authorizations: listOf(order, 'authorizations').map(urlOf),
    finalize: urlAt(order, 'finalize'),
    ...optional(order, 'expires', textOf),
    ...optional(order, 'notAfter', textOf),
    ...optional(order, 'profile', textOf),
    ...optional(order, 'replaces', textOf),
    ...optional(order, 'delegation', textOf),
    ...optional(order, 'certificate', urlAt),
    ...optional(order, 'star-certificate', urlAt),
    ...optional(order, 'allow-certificate-get', booleanOf),
    ...optional(order, 'auto-renewal', readAutoRenewal),
    ...optional(order, 'error', readProblem),
  }
}

export function readDelegationList(content: unknown): readonly string[] {
  return listOf(objectOf(content, 'the delegation list'), 'delegations').map(urlOf)
}

/** As long as one response can be. What is no URL in it is passed over: the others are still orders. */
export function readOrderList(content: unknown): readonly string[] {
  const { orders } = objectOf(content, 'the order list')
  if (!Array.isArray(orders)) return wrong('"orders" is not a list')
  return orders.filter((url) => typeof url === 'string' && URL.canParse(url))
}

export function readDelegation(content: unknown): Delegation {
  const delegation = objectOf(content, 'the delegation')
  return { 'csr-template': objectOf(delegation['csr-template'], 'the csr-template') }
}

export function readAuthorization(content: unknown): Authorization {
  const authorization = objectOf(content, 'the authorization')
  const statuses = ['pending', 'valid', 'invalid', 'deactivated', 'expired', 'revoked'] as const
  return {
    status: oneOf(authorization, 'status', statuses),
    identifier: readIdentifier(authorization['identifier']),
    challenges: listOf(authorization, 'challenges').map(readChallenge),
    ...optional(authorization, 'wildcard', booleanOf),
  }
}

function readChallenge(content: unknown): Challenge {
  const challenge = objectOf(content, 'the challenge')
  return {
    type: textOf(challenge, 'type'),
    url: urlAt(challenge, 'url'),
    status: oneOf(challenge, 'status', ['pending', 'processing', 'valid', 'invalid'] as const),
    // Challenge types we do not answer may have none.
    token: challenge['token'] === undefined ? '' : textOf(challenge, 'token'),
    ...optional(challenge, 'error', readProblem),
  }
}

function readMeta(meta: JsonObject): DirectoryMeta {
  return {
    ...optional(meta, 'termsOfService', textOf),
    ...optional(meta, 'externalAccountRequired', booleanOf),
    ...optional(meta, 'caaIdentities', namesOf),
    // Names with descriptions, which are for people (draft-ietf-acme-profiles).
    ...optional(meta, 'profiles', (parent, member) => Object.keys(objectOf(parent[member], member))),
    ...optional(meta, 'delegation-enabled', booleanOf),
    ...optional(meta, 'allow-certificate-get', booleanOf),
    ...optional(meta, 'auto-renewal', (parent, member) => {
      const bounds = objectOf(parent[member], member)
      return {
        'min-lifetime': secondsOf(bounds, 'min-lifetime'),
        'max-duration': secondsOf(bounds, 'max-duration'),
        ...optional(bounds, 'allow-certificate-get', booleanOf),
      }
    }),
  }
}

function readAutoRenewal(parent: JsonObject, member: string): AutoRenewal {
  const terms = objectOf(parent[member], member)
  return {
    'end-date': dateOf(terms, 'end-date'),
    lifetime: secondsOf(terms, 'lifetime'),
    ...optional(terms, 'start-date', dateOf),
    ...optional(terms, 'lifetime-adjust', secondsOf),
    ...optional(terms, 'allow-certificate-get', booleanOf),
  }
}

function readProblem(parent: JsonObject, member: string): ProblemDocument {
  return AcmeProblem.fromDocument(parent[member])?.toDocument() ?? wrong(`"${member}" is no problem document`)
}

function readIdentifier(content: unknown): Identifier {
  const identifier = objectOf(content, 'an identifier')
  return { type: textOf(identifier, 'type'), value: textOf(identifier, 'value') }
}

/** The member under its own name when it is there, nothing when it is not. */
function optional<M extends string, T>(
  parent: JsonObject,
  member: M,
  read: (parent: JsonObject, member: M) => T,
): { readonly [name in M]?: T } {
  if (parent[member] === undefined || parent[member] === null) return {}
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { [member]: read(parent, member) } as { readonly [name in M]?: T }
}

function objectOf(value: unknown, what: string): JsonObject {
  return isJsonObject(value) ? value : wrong(`${what} is not a JSON object`)
}

function listOf(parent: JsonObject, member: string): readonly unknown[] {
  const list = parent[member]
  return Array.isArray(list) && list.length <= ITEMS_MAX ? list : wrong(`"${member}" is not a list of bearable length`)
}

function namesOf(parent: JsonObject, member: string): readonly string[] {
  return listOf(parent, member).map((name) =>
    typeof name === 'string' ? name : wrong(`"${member}" holds what is no text`),
  )
}

function textOf(parent: JsonObject, member: string): string {
  const text = parent[member]
  return typeof text === 'string' ? text : wrong(`"${member}" is not text`)
}

function urlAt(parent: JsonObject, member: string): string {
  return urlOf(parent[member])
}

function urlOf(url: unknown): string {
  return typeof url === 'string' && URL.canParse(url) ? url : wrong(`${JSON.stringify(url)?.slice(0, 200)} is no URL`)
}

function dateOf(parent: JsonObject, member: string): string {
  const text = textOf(parent, member)
  return parseDateMs(text) === undefined ? wrong(`"${member}" is not a date`) : text
}

function secondsOf(parent: JsonObject, member: string): number {
  const seconds = parent[member]
  return typeof seconds === 'number' && Number.isSafeInteger(seconds) && seconds >= 0
    ? seconds
    : wrong(`"${member}" is not a number of seconds`)
}

function booleanOf(parent: JsonObject, member: string): boolean {
  const value = parent[member]
  return typeof value === 'boolean' ? value : wrong(`"${member}" is neither true nor false`)
}

function oneOf<T extends string>(parent: JsonObject, member: string, values: readonly T[]): T {
  return values.find((value) => value === parent[member]) ?? wrong(`"${member}" is none of ${values.join(', ')}`)
}

function wrong(detail: string): never {
  throw new Fault('ACME_PROTOCOL', `the ACME server answered outside the protocol: ${detail}`)
}
