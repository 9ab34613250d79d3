import { type CertifyJob, type DnsChallenges, validOrder } from '../../acme/client/certify.ts'
import { findDelegation } from '../../acme/client/obtain.ts'
import type { AcmeClient } from '../../acme/client/plumbing.ts'
import { refusalsAsFaults } from '../../acme/client/refusal.ts'
import { withTimeout } from '../../acme/client/wait.ts'
import { AcmeProblem } from '../../acme/problem.ts'
import { buildAutoRenewal, type DirectoryMeta, type Order } from '../../acme/resource.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault } from '../../core/fault.ts'
import type { Log } from '../../core/log.ts'
import type { AcmeAccount } from './acme-account.ts'
import { type Attempt, type ForwardedOrder, type ForwardingAuthority, ISSUE_MS_MAX } from './authority.ts'

/** Authorities that keep the certificate at a URL of their own: the order is passed on, and nothing is published here. */

export interface ForwardingOptions {
  readonly id: string
  readonly account: AcmeAccount
  readonly clock: Clock
  readonly log: Log
}

/** A CA that renews by itself (RFC 8739) or lets certificates be fetched unsigned (RFC 9115 §2.3.5). */
export function starAuthority(options: ForwardingOptions & { readonly dns: DnsChallenges }): ForwardingAuthority {
  return forwardingAuthority(options, options.dns, async () => ({}))
}

/** The next delegation server: this one is a proxy to it (RFC 9115 §2.4). It asks for no proof of the names. */
export function delegationAuthority(options: ForwardingOptions): ForwardingAuthority {
  return forwardingAuthority(options, NO_CHALLENGES, async (client, { names }, signal) => ({
    delegation: (await findDelegation(client, names[0]!, signal)).url,
  }))
}

function forwardingAuthority(
  { id, account, clock, log }: ForwardingOptions,
  dns: DnsChallenges,
  membersOf: (client: AcmeClient, order: ForwardedOrder, signal: AbortSignal) => Promise<object>,
): ForwardingAuthority {
  const withoutGet = (): Fault =>
    new Fault('AUTHORITY_WITHOUT_GET', `${id} does not let certificates be fetched without an account`)

  const forward = async (client: AcmeClient, asked: ForwardedOrder, attempt: Attempt, signal: AbortSignal) => {
    const { names, csr, autoRenewal } = asked
    const { meta } = await client.directory(signal)
    if (!offersGet(meta, autoRenewal !== undefined)) throw withoutGet()
    await client.account(signal)
    const renewal = autoRenewal
      ? { 'auto-renewal': buildAutoRenewal(autoRenewal, true) }
      : { 'allow-certificate-get': true }
    const job: CertifyJob = {
      client,
      names,
      csr,
      dns,
      members: { ...renewal, ...(await membersOf(client, asked, signal)) },
      // What it does not echo it does not do (RFC 9115 §2.3.2).
      check(order) {
        if (!echoesGet(order, autoRenewal !== undefined)) throw withoutGet()
      },
      ...attempt,
      clock,
      signal,
      timeoutMs: ISSUE_MS_MAX,
      log,
    }
    const { url, order } = await validOrder(job, signal)
    const certificateUrl = autoRenewal ? order['star-certificate'] : order.certificate
    if (certificateUrl === undefined) throw new Fault('ACME_PROTOCOL', `${id}: the valid order names no certificate`)
    return { orderUrl: url, certificateUrl }
  }

  return {
    id,
    forward: (order, attempt) =>
      withTimeout(
        { clock, signal: attempt.signal, timeoutMs: ISSUE_MS_MAX },
        `the order for ${order.names.join(', ')}`,
        (signal) => refusalsAsFaults(() => account.with((client) => forward(client, order, attempt, signal))),
      ),
    cancel: (orderUrl, signal) =>
      refusalsAsFaults(() =>
        account.with(async (client) => {
          await client.account(signal)
          await client.post(orderUrl, { status: 'canceled' }, signal).catch((error: unknown) => {
            if (!(error instanceof AcmeProblem) || error.type !== 'autoRenewalCancellationInvalid') throw error
          })
        }),
      ),
  }
}

function offersGet(meta: DirectoryMeta | undefined, star: boolean): boolean {
  return (star ? meta?.['auto-renewal'] : meta)?.['allow-certificate-get'] === true
}

function echoesGet(order: Order, star: boolean): boolean {
  return (star ? order['auto-renewal'] : order)?.['allow-certificate-get'] === true
}

const NO_CHALLENGES: DnsChallenges = {
  present: (owner) =>
    Promise.reject(new Fault('ACME_PROTOCOL', `the delegation server wants a proof for ${owner}; it should not`)),
  cleanup: async () => {},
}
