import assert from 'node:assert'
import type { Stored } from '../../../core/table.ts'
import { isJsonObject, type JsonObject, parseJson } from '../../json.ts'
import { type AccountKey, importAccountKey, parseJws, thumbprint, verifyJws } from '../../jws.ts'
import { AcmeProblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { Call } from '../endpoints.ts'
import type { Reply } from '../exchange.ts'
import type { AccountKeyRow, AccountRow } from '../rows.ts'
import { checkStanding } from '../steps/authenticate.ts'
import { accountReply } from './account.ts'

/** Writers of one account are its client and its limits: more collisions in a row are a bug. */
const COLLISIONS_MAX = 10

/**
 * RFC 8555 §7.3.5. The order of writes is new key, account, old key. The account's row decides which key is good, so the
 * old one is dead with the second write; after a crash the client repeats the request with whichever key still works.
 */
export async function keyChange({ account, payload, url }: Call<'keyChange'>, context: AcmeContext): Promise<Reply> {
  const newKey = await readInner(payload, { account, url }, context)
  const claimed = await claimKey(newKey, account.id, context)
  await context.onDecision?.({ kind: 'account-key-changed', account })
  const written = await swapKey(account, newKey, claimed, context)
  await forgetKey(await thumbprint(account.row.jwk), account.id, context)
  return accountReply(200, written, context)
}

/** The inner JWS: the new key says which account it is for, and which key it follows. */
async function readInner(
  payload: JsonObject,
  { account, url }: { readonly account: Stored<AccountRow>; readonly url: string },
  { urls }: AcmeContext,
): Promise<AccountKey> {
  const inner = parseJws(payload)
  const { header } = inner
  if ('nonce' in header) throw malformed('the inner JWS must not have a nonce')
  if ('kid' in header || !('jwk' in header)) throw malformed('the inner JWS is signed with "jwk", the new key')
  if (header['url'] !== url) throw malformed('the inner JWS was made for another URL than the request')
  const newKey = await importAccountKey(header['jwk'])
  await verifyJws(inner, newKey)
  const content = parseJson(inner.payload)
  if (!isJsonObject(content)) throw malformed('the inner payload is not a JSON object')
  if (content['account'] !== urls.to('account', { account: account.id })) {
    throw malformed('the inner JWS is for another account than the one that signed the request')
  }
  const oldKey = await importAccountKey(content['oldKey'])
  if (oldKey.thumbprint !== (await thumbprint(account.row.jwk)))
    throw malformed('"oldKey" is not the key of this account')
  return newKey
}

/** Makes the row of the new key this request's own, so that of two requests only the one that wins keeps it. */
async function claimKey(key: AccountKey, account: string, context: AcmeContext): Promise<Stored<AccountKeyRow>> {
  const { accountKeys, urls } = context
  for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
    const inserted = await accountKeys.insert(key.thumbprint, { account })
    if (inserted) return inserted
    const taken = await accountKeys.find(key.thumbprint)
    if (!taken) continue
    const isFree = taken.row.account === account && !(await hasKey(account, key, context))
    if (!isFree) {
      throw new AcmeProblem('malformed', 'the new key opens an account already', {
        status: 409,
        headers: { Location: urls.to('account', { account: taken.row.account }) },
      })
    }
    // An earlier try of this account that did not get further.
    const mine = await accountKeys.replace(taken, { account })
    if (mine) return mine
  }
  throw new assert.AssertionError({ message: 'the row of an account key is written to without end' })
}

async function swapKey(
  account: Stored<AccountRow>,
  { jwk }: AccountKey,
  claimed: Stored<AccountKeyRow>,
  { accounts, accountKeys }: AcmeContext,
): Promise<Stored<AccountRow>> {
  const oldThumbprint = await thumbprint(account.row.jwk)
  let seen: Stored<AccountRow> | undefined = account
  for (let attempt = 0; attempt < COLLISIONS_MAX; attempt++) {
    if (!seen || (await thumbprint(seen.row.jwk)) !== oldThumbprint) {
      await accountKeys.remove(claimed)
      throw new AcmeProblem('unauthorized', 'another change of this key was faster')
    }
    checkStanding(seen.row)
    const written: Stored<AccountRow> | undefined = await accounts.replace(seen, { ...seen.row, jwk })
    if (written) return written
    seen = await accounts.find(account.id)
  }
  throw new assert.AssertionError({ message: 'the row of an account is written to without end' })
}

/** Then the old key may open an account anew. */
async function forgetKey(oldThumbprint: string, account: string, { accountKeys }: AcmeContext): Promise<void> {
  const row = await accountKeys.find(oldThumbprint)
  if (row?.row.account === account) await accountKeys.remove(row)
}

/** An account that is not made yet has the key it is made with. */
async function hasKey(accountId: string, key: AccountKey, { accounts }: AcmeContext): Promise<boolean> {
  const account = await accounts.find(accountId)
  return !account || (await thumbprint(account.row.jwk)) === key.thumbprint
}

function malformed(detail: string): AcmeProblem {
  return new AcmeProblem('malformed', detail)
}
