import type { Stored } from '../../../core/table.ts'
import { type AccountKey, importAccountKey, verifyJws } from '../../jws.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { Endpoint } from '../endpoints.ts'
import type { AccountRow } from '../rows.ts'
import type { Envelope } from './envelope.ts'

export type Signer = { readonly account: Stored<AccountRow> } | { readonly key: AccountKey }

const KID_TAKEN: readonly Endpoint['auth'][] = ['kid', 'kid-or-jwk', 'get-or-kid']
const JWK_TAKEN: readonly Endpoint['auth'][] = ['jwk', 'kid-or-jwk']

/** acme.sh repeats a request on these words and does not look at the type of the problem. */
const NONCE_REFUSED = 'JWS has an invalid anti-replay nonce'

/** Uses up the nonce, finds the key, checks the signature, and only then says what it thinks of the account. */
export async function authenticate(envelope: Envelope, { auth }: Endpoint, context: AcmeContext): Promise<Signer> {
  const { jws, nonce, signer } = envelope
  if (nonce === undefined || !(await context.nonces.consume(nonce))) {
    throw new AcmeProblem('badNonce', `${NONCE_REFUSED}: missing, used or too old; repeat with the one of this answer`)
  }
  if ('jwk' in signer) {
    if (!JWK_TAKEN.includes(auth)) throw new AcmeProblem('malformed', 'sign this request with "kid", the account URL')
    const key = await importAccountKey(signer.jwk)
    await verifyJws(jws, key)
    return { key }
  }
  if (!KID_TAKEN.includes(auth)) throw new AcmeProblem('malformed', 'sign this request with "jwk", the key itself')
  const account = await findAccount(signer.kid, context)
  await verifyJws(jws, await importAccountKey(account.row.jwk))
  checkStanding(account.row)
  return { account }
}

/** RFC 8555 §7.3.6: nothing is done for a deactivated account. */
export function checkStanding({ status }: AccountRow): void {
  if (status !== 'valid') {
    throw new AcmeProblem('unauthorized', `this account is ${status}`, { status: 401 })
  }
}

async function findAccount(kid: string, { urls, accounts }: AcmeContext): Promise<Stored<AccountRow>> {
  const id = urls.read('account', kid)?.account
  const account = id === undefined ? undefined : await accounts.find(id)
  if (!account) throw new AcmeProblem('accountDoesNotExist', 'no account has this "kid"')
  return account
}
