import type { AcmeServerOptions, CsrProblem, Delegations } from '../../acme/server/options.ts'

/**
 * The plain mode for routers without RFC 9115: an account may order the name of its device, which is the id of its
 * delegation, and nothing else.
 */
export function ownNameOnly(delegations: Pick<Delegations, 'find'>): NonNullable<AcmeServerOptions['preauthorized']> {
  return async (accountId, names) => {
    const problems = await Promise.all(
      names.map(async (name): Promise<CsrProblem[]> => {
        if (await delegations.find(accountId, name)) return []
        return [{ kind: 'rejectedIdentifier', detail: 'this name is not assigned to this device', identifier: name }]
      }),
    )
    return problems.flat()
  }
}
