import type { Stored } from '../../../core/table.ts'
import { isEmail } from '../../../pki/general-names.ts'
import { AcmeProblem } from '../../problem.ts'
import type { Account } from '../../resource.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import { jsonReply, type Reply } from '../exchange.ts'
import { rewrite } from '../rewrite.ts'
import type { AccountRow } from '../rows.ts'
import { checkStanding } from '../steps/authenticate.ts'
import { pageReply, readPage } from './page.ts'

/** RFC 8555 §7.3.2 update, §7.3.3 read, §7.3.6 deactivate. Members a client may not change are ignored. */
export async function account(call: Call<'account'>, context: AcmeContext): Promise<Reply> {
  checkOwn(call)
  const { payload } = call
  if (payload === undefined) return accountReply(200, call.account, context)
  const contact = payload['contact'] === undefined ? undefined : readContact(payload['contact'])
  const { status } = payload
  if (status !== undefined && status !== 'valid' && status !== 'deactivated') {
    throw new AcmeProblem('malformed', 'an account can only be made "deactivated"')
  }
  if (status === 'deactivated') await context.onDecision?.({ kind: 'account-deactivated', account: call.account })
  const written = await rewrite(context.accounts, call.account.id, (row): AccountRow => {
    checkStanding(row)
    return { ...row, ...(contact ? { contact } : {}), ...(status ? { status } : {}) }
  })
  return accountReply(200, written, context)
}

/** RFC 8555 §7.1.2.1. Invalid orders are left out, so a page may be shorter than the next. */
export async function orders(call: Call<'orders'>, context: AcmeContext): Promise<Reply> {
  checkOwn(call)
  const { after, limit } = readPage(call.request, context)
  const found = await context.orders.list({
    where: { account: call.account.id },
    limit,
    ...(after === undefined ? {} : { after }),
  })
  const live = found.filter(({ row }) => row.status !== 'invalid')
  const last = found.length === limit ? found.at(-1)?.id : undefined
  const next = last === undefined ? undefined : context.urls.to('orders', { account: call.account.id }, last)
  return pageReply({ orders: live.map(({ id }) => context.urls.to('order', { order: id })) }, next)
}

export function accountReply(status: number, { id, row }: Stored<AccountRow>, { urls }: AcmeContext): Reply {
  const resource: Account = {
    status: row.status,
    contact: row.contact,
    termsOfServiceAgreed: row.termsOfServiceAgreed,
    ...(row.externalAccount ? { externalAccountBinding: row.externalAccount.binding } : {}),
    orders: urls.to('orders', { account: id }),
    delegations: urls.to('delegations', { account: id }),
  }
  return jsonReply(status, resource, { Location: urls.to('account', { account: id }) })
}

/** The account in the path must be the one that signed. */
export function checkOwn(call: { params: { account: string }; account: Stored<AccountRow> }): void {
  if (call.params.account !== call.account.id) throw new AcmeProblem('unauthorized', 'this is another account')
}

const CONTACTS_MAX = 10
/** An address has at most 254 octets (RFC 5321 §4.5.3.1.3). */
const ADDRESS_CHARS_MAX = 254

/** RFC 8555 §7.3: mailto: with one address and no header fields, nothing else. */
export function readContact(value: unknown): readonly string[] {
  if (!Array.isArray(value) || !value.every((url) => typeof url === 'string') || value.length > CONTACTS_MAX) {
    throw new AcmeProblem('malformed', `"contact" is a list of at most ${CONTACTS_MAX} URLs`)
  }
  for (const url of value) {
    if (!/^mailto:/i.test(url)) throw new AcmeProblem('unsupportedContact', 'only mailto: contacts are kept')
    const address = url.slice('mailto:'.length)
    if (/[?,%]/.test(address) || address.length > ADDRESS_CHARS_MAX || !isEmail(address)) {
      throw new AcmeProblem('invalidContact', 'a mailto: contact is one plain address')
    }
  }
  return value
}
