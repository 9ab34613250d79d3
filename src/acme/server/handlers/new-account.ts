import { type AccountKey, thumbprint } from '../../jws.ts'
import { AcmeProblem } from '../../problem.ts'
import { type AcmeContext, randomId } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { AccountRow } from '../rows.ts'
import { checkStanding } from '../steps/authenticate.ts'
import { accountReply, readContact } from './account.ts'
import { checkExternalAccount, type ExternalAccountProof } from './external-account.ts'

/**
 * RFC 8555 §7.3. A key has one account, whatever else is sent, so the request can be repeated. The order of writes is
 * key, binding, account: a crash between any two is made good by the same client asking again.
 */
export async function newAccount(call: Call<'newAccount'>, context: AcmeContext): Promise<Reply> {
  const { key, payload, url } = call
  const known = await findByKey(key, context)
  if (known) {
    if ((await thumbprint(known.row.jwk)) !== key.thumbprint) throw keyRetired()
    checkStanding(known.row)
    return accountReply(200, known, context)
  }
  if (payload['onlyReturnExisting'] === true) {
    throw new AcmeProblem('accountDoesNotExist', 'no account has this key')
  }
  checkTerms(payload['termsOfServiceAgreed'], context)
  const contact = payload['contact'] === undefined ? [] : readContact(payload['contact'])
  const proof = await checkExternalAccount(payload['externalAccountBinding'], { key, url }, context)
  const id = await accountIdOf(key, proof, context)
  const row: AccountRow = {
    status: 'valid',
    jwk: key.jwk,
    contact,
    termsOfServiceAgreed: payload['termsOfServiceAgreed'] === true,
    ...(proof ? { externalAccount: { kid: proof.kid, binding: proof.binding } } : {}),
  }
  const created = await context.accounts.insert(id, row)
  if (created) return accountReply(201, created, context)
  const faster = await context.accounts.find(id)
  if (!faster) throw new AcmeProblem('serverInternal', 'the account vanished while it was made')
  return accountReply(200, faster, context)
}

async function findByKey(key: AccountKey, { accountKeys, accounts }: AcmeContext) {
  const found = await accountKeys.find(key.thumbprint)
  return found && (await accounts.find(found.row.account))
}

/** The id this key already has, or a new one; the binding, if any, is then this account's alone. */
async function accountIdOf(key: AccountKey, proof: ExternalAccountProof | undefined, context: AcmeContext) {
  const { accountKeys, externalAccounts } = context
  // Read after the binding: a request for the same key that was faster has written the key first.
  const reserved = (await accountKeys.find(key.thumbprint))?.row.account
  if (proof?.boundTo !== undefined && proof.boundTo !== reserved) throw kidUsed()
  const id = reserved ?? (await reserve(key, context))
  if (proof && !(await externalAccounts?.bind(proof.kid, id))) throw kidUsed()
  return id
}

async function reserve(key: AccountKey, { accountKeys }: AcmeContext): Promise<string> {
  const account = randomId()
  if (await accountKeys.insert(key.thumbprint, { account })) return account
  const faster = await accountKeys.find(key.thumbprint)
  if (!faster) throw new AcmeProblem('serverInternal', 'the account key vanished while it was written')
  return faster.row.account
}

function checkTerms(agreed: unknown, { termsOfService }: AcmeContext): void {
  if (agreed !== undefined && typeof agreed !== 'boolean') {
    throw new AcmeProblem('malformed', '"termsOfServiceAgreed" is true or false')
  }
  if (termsOfService === undefined || agreed === true) return
  throw new AcmeProblem('userActionRequired', `agree to ${termsOfService} first`, {
    headers: { Link: `<${termsOfService}>;rel="terms-of-service"` },
  })
}

function kidUsed(): AcmeProblem {
  return new AcmeProblem('unauthorized', 'another account was opened with this external account key')
}

/** A crash in the middle of a change of keys (RFC 8555 §7.3.5) left this one to an account that has another. */
function keyRetired(): AcmeProblem {
  return new AcmeProblem(
    'unauthorized',
    'a change from or to this key was begun and not finished; repeat it, or open an account with another key',
  )
}
