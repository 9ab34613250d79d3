import { addressSet } from '../../../net/address-set.ts'

export const BLOCK_ANSWERS = ['nxdomain', 'zero', 'refused'] as const
export type BlockAnswer = (typeof BLOCK_ANSWERS)[number]

/** What holds for some clients. */
export interface Policy {
  /** The group's name; absent for everybody else. */
  readonly group?: string
  /** Bits of the lists that hold. */
  readonly lists: number
  readonly answer: BlockAnswer
}

export interface GroupPolicy extends Policy {
  readonly group: string
  readonly clients: readonly string[]
}

/** Addresses whose policy is remembered; a home has far fewer, and forged ones must not grow it. */
const REMEMBERED_MAX = 4096

/** The policy of the first group that has the address, or that for everybody else. */
export function policyFinder(everybody: Policy, groups: readonly GroupPolicy[]): (address: string) => Policy {
  if (groups.length === 0) return () => everybody
  const sets = groups.map((policy) => ({ policy, holds: addressSet(policy.clients) }))
  const remembered = new Map<string, Policy>()
  return (address) => {
    const known = remembered.get(address)
    if (known) return known
    if (remembered.size >= REMEMBERED_MAX) remembered.clear()
    const policy = sets.find(({ holds }) => holds(address))?.policy ?? everybody
    remembered.set(address, policy)
    return policy
  }
}
