import { createPublicKey } from 'node:crypto'
import type { Csr } from '../../../pki/csr.ts'
import { accountKeyOf } from '../../jws.ts'
import { AcmeProblem, type Subproblem } from '../../problem.ts'
import type { AcmeContext } from '../context.ts'
import type { CsrProblem } from '../options.ts'
import type { OrderRow } from '../rows.ts'
import { plainCsrProblems } from './plain-csr.ts'

/** Everything that is wrong with a CSR for this order, in one problem; undefined when nothing is. */
export async function problemOfCsr(csr: Csr, row: OrderRow, context: AcmeContext): Promise<AcmeProblem | undefined> {
  const { account, delegation, identifiers } = row
  const fromRules =
    delegation === undefined
      ? plainCsrProblems(csr)
      : await context.delegations.checkCsr(account, delegation, identifiers, csr)
  const named = new Set(fromRules.map(({ identifier }) => identifier))
  const fromNames = compareNames(csr.dnsNames, identifiers).filter(({ identifier }) => !named.has(identifier))
  const problems = [...fromRules, ...fromNames, ...(await checkKey(csr, context))]
  if (problems.length === 0) return undefined
  const general = problems.filter(({ identifier }) => identifier === undefined).map(({ detail }) => detail)
  const whole = `the CSR does not fit the ${delegation === undefined ? 'order' : 'delegation'}`
  return badCsr(row, [whole, ...general].join('; '), problems)
}

/** RFC 9115 §2.3.2 has 403 where RFC 8555 §6.7 has 400. */
export function badCsr(
  { delegation }: Pick<OrderRow, 'delegation'>,
  detail: string,
  problems: readonly CsrProblem[] = [],
): AcmeProblem {
  const subproblems = subproblemsOf(problems)
  return new AcmeProblem('badCSR', detail, { status: delegation === undefined ? 400 : 403, subproblems })
}

export function subproblemsOf(problems: readonly CsrProblem[]): Subproblem[] {
  return problems.map(({ kind, detail, identifier }) => ({
    type: kind,
    detail,
    ...(identifier === undefined ? {} : { identifier: { type: 'dns', value: identifier } }),
  }))
}

/** The CSR asks for exactly the names of the order (RFC 8555 §7.4). */
function compareNames(dnsNames: readonly string[], identifiers: readonly string[]): CsrProblem[] {
  const asked = new Set(dnsNames.map((name) => name.toLowerCase()))
  const extra = [...asked].filter((name) => !identifiers.includes(name))
  const missing = identifiers.filter((name) => !asked.has(name))
  return [
    ...extra.map((identifier): CsrProblem => ({ kind: 'rejectedIdentifier', detail: 'not in the order', identifier })),
    ...missing.map((identifier): CsrProblem => ({ kind: 'badCSR', detail: 'not in the CSR', identifier })),
  ]
}

/** RFC 8555 §11.1: a key that opens an account certifies nothing, here whoever's account it is. */
async function checkKey({ spki }: Csr, { accountKeys }: AcmeContext): Promise<CsrProblem[]> {
  const key = await accountKeyOf(createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }))
  if (!key || !(await accountKeys.find(key.thumbprint))) return []
  return [{ kind: 'badCSR', detail: 'the CSR is for an account key; make a key for the certificate alone' }]
}
