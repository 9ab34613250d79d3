import { join } from 'node:path'
import type { AcmeTransport } from '../../../acme/client/exchange.ts'
import { fetchCertificate, obtainDelegated } from '../../../acme/client/obtain.ts'
import { openAcme } from '../../../acme/client/plumbing.ts'
import { AcmeProblem } from '../../../acme/problem.ts'
import { nextPollMs } from '../../../acme/star.ts'
import type { Clock } from '../../../core/clock.ts'
import { Fault } from '../../../core/fault.ts'
import { fromPem, parseCertificate } from '../../../pki/certificate.ts'
import { parseCsrTemplate, planCsr } from '../../../pki/csr-template.ts'
import type { Identity, Issuer, StarTerms } from '../../../pki/issuer.ts'
import { checkedKey, generateKey } from '../../../pki/key.ts'
import { kept } from '../../../store/kept.ts'

export interface DelegatedIssuerOptions {
  readonly directoryUrl: string
  /** Ties this router's account to its name (RFC 9115 §7.2). `key` is base64url, as handed out. */
  readonly eab: { readonly kid: string; readonly key: string }
  /** Nominal lifetime of one certificate, and how long the order renews by itself. */
  readonly lifetimeS: number
  readonly orderSpanS: number
  readonly stateDir: string
  readonly transport: AcmeTransport
  readonly clock: Clock
}

const ORDER_MS_MAX = 280_000

/** ACME delegation (RFC 9115) with certificates that renew by themselves (RFC 8739): the router never meets a challenge. */
export function delegatedIssuer(options: DelegatedIssuerOptions): Issuer {
  const { clock, transport } = options

  const fetchIdentity = async (names: readonly string[], star: StarTerms, signal: AbortSignal): Promise<Identity> => {
    const fetched = await fetchCertificate(transport, new URL(star.url), signal)
    if (fetched.kind === 'unchanged')
      throw new Fault('ACME_PROTOCOL', `${star.url} said "unchanged" without being asked`)
    const chain = fromPem(fetched.pem)
    const { notBeforeMs, notAfterMs } = parseCertificate(chain[0]!)
    // The last certificate of an order has no successor: a new order is due as early as a successor would have been.
    // Never before half of this one's life, whatever end the server has set: orders must not chase each other.
    const lastMs = Math.max(star.endMs - (star.lifetimeS * 1000) / 2, (notBeforeMs + notAfterMs) / 2)
    const renewAtMs = nextPollMs({ notBeforeMs, notAfterMs, ...star }) ?? lastMs
    return { names, chain, notBeforeMs, notAfterMs, renewAtMs, star }
  }

  return {
    id: 'acme-delegation',
    async issue(names, createCsr, signal) {
      const client = await openAcme({
        directoryUrl: options.directoryUrl,
        // Kept apart from the TLS key: it signs requests to the operator and nothing else.
        accountKeyPem: await kept(join(options.stateDir, 'account.key'), checkedKey, () => generateKey('p256')),
        externalAccount: { kid: options.eab.kid, hmacKey: options.eab.key },
        transport,
        userAgent: 'hearth',
      })
      const order = await obtainDelegated({
        client,
        name: names[0]!,
        autoRenewal: { lifetimeS: options.lifetimeS, endMs: wholeSecond(clock.nowMs()) + options.orderSpanS * 1000 },
        createCsr: (template) => createCsr(planCsr(parseCsrTemplate(template), names)),
        clock,
        signal,
        timeoutMs: ORDER_MS_MAX,
      })
      if (!order.autoRenewal) throw new Fault('ACME_PROTOCOL', 'the order does not say how it renews')
      return fetchIdentity(names, { url: order.certificateUrl.href, ...order.autoRenewal }, signal)
    },
    async refresh(current, signal) {
      try {
        const identity = await fetchIdentity(current.names, current.star!, signal)
        return identity.notAfterMs > current.notAfterMs ? identity : undefined
      } catch (error) {
        if (error instanceof AcmeProblem) throw refusal(error)
        throw error
      }
    },
  }
}

/** 403 with one of these types, or 404: there will be no next certificate at this URL (RFC 8739 §3.1.2, §3.3). */
function refusal(problem: AcmeProblem): Fault {
  const ended = /autoRenewal(Canceled|Expired)$/.test(problem.type) || problem.status === 404
  return new Fault(ended ? 'ORDER_ENDED' : 'ACME_REFUSED', problem.message, { status: problem.status }, problem)
}

function wholeSecond(ms: number): number {
  return Math.floor(ms / 1000) * 1000
}
