import type { AcmeTransport } from '../../acme/client/exchange.ts'
import { type AcmeClient, openAcme } from '../../acme/client/plumbing.ts'
import { AcmeProblem } from '../../acme/problem.ts'
import { Fault } from '../../core/fault.ts'
import { checkedKey, generateKey } from '../../pki/key.ts'
import type { Keep } from '../../store/kept.ts'

export interface AcmeAccountOptions {
  /** Of the authority. */
  readonly id: string
  readonly directoryUrl: string
  readonly externalAccount?: { readonly kid: string; readonly hmacKey: string }
  readonly keep: Keep
  readonly transport: AcmeTransport
}

/** Our account at one authority, opened at first use and then kept. */
export interface AcmeAccount {
  /** A client reads the directory once, so each piece of work gets its own. */
  with<T>(work: (client: AcmeClient) => Promise<T>): Promise<T>
  /** As CAA records name it (RFC 8657). Undefined: it has not been opened yet. */
  url(signal: AbortSignal): Promise<string | undefined>
}

export function acmeAccount({ id, directoryUrl, externalAccount, keep, transport }: AcmeAccountOptions): AcmeAccount {
  let url: string | undefined
  /** Looked up once: every order needs it, and it never changes. */
  let key: Promise<string> | undefined
  const accountKey = (): Promise<string> => {
    key ??= keep(`authority-${id}.key`, checkedKey, () => generateKey('p256'))
    key.catch(() => (key = undefined))
    return key
  }

  const withClient = async <T>(work: (client: AcmeClient) => Promise<T>): Promise<T> => {
    const known = url
    const client = await openAcme({
      directoryUrl,
      accountKeyPem: await accountKey(),
      ...(known === undefined ? {} : { accountUrl: known }),
      ...(externalAccount ? { externalAccount } : {}),
      transport,
      userAgent: 'hearth-operator',
    })
    try {
      return await work(client)
    } catch (error) {
      if (known === undefined || !isUnknownAccount(error)) throw error
      // It was restored from a backup, or is a test CA that started anew. All work begins with the account.
      url = undefined
      return await withClient(work)
    } finally {
      url ??= client.accountUrl
    }
  }
  return {
    with: withClient,
    async url(signal) {
      try {
        return url ?? (await withClient((client) => client.newAccount({ onlyReturnExisting: true }, signal))).url
      } catch (error) {
        if (error instanceof AcmeProblem && error.type === 'accountDoesNotExist') return undefined
        throw error
      }
    },
  }
}

function isUnknownAccount(error: unknown): boolean {
  const problem = error instanceof Fault ? error.cause : error
  return problem instanceof AcmeProblem && problem.type === 'accountDoesNotExist'
}
