import type { Stored } from '../../core/table.ts'
import { AcmeProblem } from '../problem.ts'
import type { EndpointName } from './endpoints.ts'
import type { AccountRow } from './rows.ts'

/** What an account decided about what it has, or was refused: for the records of whoever runs the server. */
export type AcmeDecision =
  | { readonly kind: 'account-deactivated' | 'account-key-changed'; readonly account: Stored<AccountRow> }
  | {
      readonly kind: 'order-canceled' | 'authorization-deactivated'
      readonly account: Stored<AccountRow>
      readonly order: string
    }
  | {
      readonly kind: 'refused'
      readonly account: Stored<AccountRow>
      /** Absent: it was refused before there was one. */
      readonly order?: string
      readonly problem: AcmeProblem
    }

/** Where a certificate is asked for, or its end. */
const ENDPOINTS_WITH_REFUSALS: readonly EndpointName[] = ['newOrder', 'finalize', 'order', 'revokeCert']
/** Refusals that are about what an account may have; the others are about how it asked. */
const REFUSALS = ['unauthorized', 'rejectedIdentifier', 'badCSR', 'unknownDelegation', 'rateLimited']

/** Undefined: nothing was decided about an account, or it only looked at something. */
export function refusalIn(
  thrown: unknown,
  endpoint: EndpointName,
  call: {
    readonly account?: Stored<AccountRow>
    readonly payload: object | undefined
    readonly params: Readonly<Record<string, string>>
  },
): AcmeDecision | undefined {
  const { account, payload } = call
  const { order } = call.params
  if (!(thrown instanceof AcmeProblem) || !account || payload === undefined) return undefined
  if (!ENDPOINTS_WITH_REFUSALS.includes(endpoint) || !REFUSALS.includes(thrown.type)) return undefined
  return { kind: 'refused', account, problem: thrown, ...(order === undefined ? {} : { order }) }
}
