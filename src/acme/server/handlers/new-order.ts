import { isJsonObject, type JsonObject } from '../../json.ts'
import { AcmeProblem } from '../../problem.ts'
import type { RenewalTerms } from '../../resource.ts'
import { type AcmeContext, randomId } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { OrderRow } from '../rows.ts'
import { readIdentifiers } from './identifiers.ts'
import { orderReply } from './order.ts'
import { readRenewalTerms } from './renewal-terms.ts'
import { subproblemsOf } from './template-check.ts'

/** RFC 8555 §7.4 for delegated names: STAR (RFC 9115 §2.3.2) or a single certificate (§2.3.3). */
export async function newOrder({ account, payload }: Call<'newOrder'>, context: AcmeContext): Promise<Reply> {
  const identifiers = readIdentifiers(payload['identifiers'])
  const delegation = await findDelegation(payload['delegation'], account.id, context)
  checkDates(payload)
  const autoRenewal = readGetPermission(payload, context)
  await checkNames(account.id, delegation, identifiers, context)
  const row: OrderRow = {
    account: account.id,
    // No authorizations on this leg: the names were checked above, the CSR will be at finalize.
    status: 'ready',
    identifiers,
    delegation,
    star: autoRenewal !== undefined,
    ...(autoRenewal ? { autoRenewal } : {}),
    allowCertificateGet: true,
    // The client is promised certificates until the order expires (RFC 9115 §2.2).
    expiresMs: Math.max(context.clock.nowMs() + context.orderLifetimeMs, autoRenewal?.endMs ?? 0),
  }
  const order = await context.orders.insert(randomId(), row)
  if (!order) throw new AcmeProblem('serverInternal', 'the order id is taken')
  return orderReply(201, order, context)
}

async function findDelegation(url: unknown, account: string, { urls, delegations }: AcmeContext): Promise<string> {
  if (url === undefined) {
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

/** A delegated certificate is fetched by plain GET, so the client must ask for that, in the one place its order has. */
function readGetPermission(payload: JsonObject, context: AcmeContext): RenewalTerms | undefined {
  const topLevel = payload['allow-certificate-get']
  if (payload['auto-renewal'] === undefined) {
    if (topLevel === true) return undefined
    throw new AcmeProblem('malformed', 'a delegation order needs "allow-certificate-get": true')
  }
  if (isJsonObject(payload['auto-renewal']) && topLevel !== undefined) {
    throw new AcmeProblem('malformed', '"allow-certificate-get" goes inside "auto-renewal", not beside it')
  }
  return readRenewalTerms(payload['auto-renewal'], context)
}

async function checkNames(account: string, delegation: string, names: readonly string[], context: AcmeContext) {
  const problems = await context.delegations.checkNames(account, delegation, names)
  if (problems.length === 0) return
  const detail = problems.map((problem) => problem.detail).join('; ')
  const rejected = problems.some(({ kind }) => kind === 'rejectedIdentifier')
  if (!rejected) throw new AcmeProblem('malformed', detail)
  throw new AcmeProblem('rejectedIdentifier', detail, { status: 403, subproblems: subproblemsOf(problems) })
}
