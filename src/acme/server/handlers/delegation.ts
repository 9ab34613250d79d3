import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import { jsonReply, type Reply } from '../exchange.ts'
import { checkOwn } from './account.ts'
import { pageReply, readPage } from './page.ts'

/** RFC 9115 §2.3.1.2. */
export async function delegations(call: Call<'delegations'>, context: AcmeContext): Promise<Reply> {
  checkOwn(call)
  const { urls } = context
  const { ids, next } = await context.delegations.list(call.account.id, readPage(call.request, context))
  return pageReply(
    { delegations: ids.map((id) => urls.to('delegation', { delegation: id })) },
    next === undefined ? undefined : urls.to('delegations', { account: call.account.id }, next),
  )
}

/** RFC 9115 §2.3.1.3. Another account's object looks like none at all. */
export async function delegation({ account, params }: Call<'delegation'>, context: AcmeContext): Promise<Reply> {
  const found = await context.delegations.find(account.id, params.delegation)
  if (!found) throw new AcmeProblem('malformed', 'this account has no such delegation', { status: 404 })
  return jsonReply(200, found)
}
