import type { JsonObject } from '../../json.ts'
import { AcmeProblem } from '../../problem.ts'
import { type AcmeContext, randomId } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { CsrProblem } from '../options.ts'
import type { OrderRow } from '../rows.ts'
import { readGetPermission } from './get-permission.ts'
import { readIdentifiers } from './identifiers.ts'
import { orderReply } from './order.ts'
import { admitOrder } from './order-limits.ts'
import { readRenewalTerms } from './renewal-terms.ts'
import { claimReplacement, readReplaces } from './replacement.ts'
import { subproblemsOf } from './template-check.ts'

/**
 * RFC 8555 §7.4. With a delegation: STAR (RFC 9115 §2.3.2) or a single certificate (§2.3.3). Without: a name that the
 * account may have anyway. Either way the order is `ready` at once.
 */
export async function newOrder({ account, payload }: Call<'newOrder'>, context: AcmeContext): Promise<Reply> {
  const identifiers = readIdentifiers(payload['identifiers'])
  const delegation = await findDelegation(payload['delegation'], account.id, context)
  checkDates(payload)
  const allowCertificateGet = readGetPermission(payload, delegation !== undefined)
  const autoRenewal =
    payload['auto-renewal'] === undefined ? undefined : readRenewalTerms(payload['auto-renewal'], context)
  const profile = readProfile(payload, context)
  await checkNames(account.id, delegation, identifiers, context)
  const replaces = await readReplaces(payload, { account: account.id, identifiers }, context)
  const id = randomId()
  await admitOrder(account, id, context)
  const nowMs = context.clock.nowMs()
  const row: OrderRow = {
    account: account.id,
    status: 'ready',
    identifiers,
    ...(delegation === undefined ? {} : { delegation }),
    star: autoRenewal !== undefined,
    ...(autoRenewal ? { autoRenewal } : {}),
    allowCertificateGet,
    // The client is promised certificates until the order expires (RFC 9115 §2.2).
    expiresMs: Math.max(nowMs + context.orderLifetimeMs, autoRenewal?.endMs ?? 0),
    createdMs: nowMs,
    ...(profile === undefined ? {} : { profile }),
    ...(replaces === undefined ? {} : { replaces }),
  }
  const order = await context.orders.insert(id, row)
  if (!order) throw new AcmeProblem('serverInternal', 'the order id is taken')
  await claimReplacement(order, context)
  return orderReply(201, order, context)
}

async function findDelegation(url: unknown, account: string, context: AcmeContext): Promise<string | undefined> {
  const { urls, delegations, preauthorized } = context
  if (url === undefined) {
    if (preauthorized) return undefined
    throw new AcmeProblem('unauthorized', 'this server certifies delegated names only: name a "delegation" of yours')
  }
  if (typeof url !== 'string') throw new AcmeProblem('malformed', '"delegation" is not a URL')
  const id = urls.read('delegation', url)?.delegation
  if (id === undefined || !(await delegations.find(account, id))) {
    throw new AcmeProblem('unknownDelegation', 'this account has no such delegation')
  }
  return id
}

function checkDates(payload: JsonObject): void {
  for (const member of ['notBefore', 'notAfter']) {
    if (payload[member] === undefined) continue
    // RFC 8739 §3.1.1 forbids them beside auto-renewal; elsewhere we could not promise to keep them (RFC 8555 §7.4).
    throw new AcmeProblem('malformed', `"${member}" cannot be chosen here`)
  }
}

/** draft-ietf-acme-profiles: an order that names none gets what the server thinks best. */
function readProfile({ profile }: JsonObject, { profiles = {} }: AcmeContext): string | undefined {
  if (profile === undefined) return undefined
  if (typeof profile === 'string' && Object.hasOwn(profiles, profile)) return profile
  const known = Object.keys(profiles)
  const choice = known.length === 0 ? 'this server has none' : `this server has ${known.join(', ')}`
  throw new AcmeProblem('invalidProfile', `there is no such profile; ${choice}`)
}

async function checkNames(
  account: string,
  delegation: string | undefined,
  names: readonly string[],
  context: AcmeContext,
): Promise<void> {
  const problems: readonly CsrProblem[] =
    delegation === undefined
      ? await context.preauthorized!(account, names)
      : await context.delegations.checkNames(account, delegation, names)
  if (problems.length === 0) return
  const detail = problems.map((problem) => problem.detail).join('; ')
  const rejected = problems.some(({ kind }) => kind === 'rejectedIdentifier')
  if (!rejected) throw new AcmeProblem('malformed', detail)
  throw new AcmeProblem('rejectedIdentifier', detail, { status: 403, subproblems: subproblemsOf(problems) })
}
