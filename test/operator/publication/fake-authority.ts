import { Fault } from '../../../src/core/fault.ts'
import type { Authority, CertificateWish } from '../../../src/operator/authority/authority.ts'
import { parseCsr } from '../../../src/pki/csr.ts'
import { generateKey } from '../../../src/pki/key.ts'
import { createRoot, signLeaf } from '../../../src/pki/sign.ts'

const DAY_MS = 86_400_000

export interface FakeCa {
  readonly id: string
  /** Orders as the CA has them, by URL. It outlives every crash of its clients. */
  readonly orders: Map<
    string,
    { readonly names: readonly string[]; readonly placedMs: number; certificate?: Uint8Array }
  >
  /** Thrown by every call while it is set. */
  failure: Error | undefined
  /** A client of this CA. `step` is called before and after everything it does there. */
  client(step: (what: string) => void): Authority
}

/** A CA that keeps its orders, and a client that goes on with what an earlier one began, as `acme` does. */
export async function fakeCa(id: string, nowMs: () => number): Promise<FakeCa> {
  const keyPem = await generateKey('p256')
  const dates = { notBeforeMs: nowMs() - DAY_MS, notAfterMs: nowMs() + 400 * DAY_MS }
  const certificate = await createRoot({ commonName: `Root of ${id}`, keyPem, ...dates })
  const issuer = { certificate, keyPem }
  const ca: FakeCa = {
    id,
    orders: new Map(),
    failure: undefined,
    client: (step) => ({
      id,
      async issue(wish, attempt) {
        let url = attempt.order
        if (url === undefined && attempt.placingSinceMs !== undefined) {
          step(`${id} list orders`)
          // The list of orders of the account (RFC 8555 §7.1.2.1): was it placed before the crash?
          const since = attempt.placingSinceMs
          const found = [...ca.orders].filter(
            ([, { names, placedMs }]) => placedMs >= since && names.join() === wish.names.join(),
          )
          step(`${id} listed`)
          for (const [candidate] of found.toReversed()) {
            if (url === undefined && (await attempt.isFree!(candidate))) url = candidate
          }
          if (url !== undefined) await attempt.placed(url)
        }
        if (url === undefined) {
          await attempt.placed()
          step(`${id} new order`)
          refuse()
          url = `https://${id}.example/order/${ca.orders.size + 1}`
          ca.orders.set(url, { names: wish.names, placedMs: nowMs() })
          step(`${id} order placed`)
          await attempt.placed(url)
        }
        step(`${id} finalize`)
        refuse()
        const order = ca.orders.get(url)
        if (!order) throw new Fault('ACME_REFUSED', 'there is no such order')
        order.certificate ??= await leafFor(wish)
        step(`${id} finalized`)
        return [order.certificate]
      },
    }),
  }
  const refuse = (): void => {
    if (ca.failure) throw ca.failure
  }
  const leafFor = (wish: CertificateWish): Promise<Uint8Array> =>
    signLeaf({
      issuer,
      spki: parseCsr(wish.csr).spki,
      dnsNames: wish.names,
      notBeforeMs: wish.notBeforeMs,
      notAfterMs: wish.notAfterMs,
    })
  return ca
}
