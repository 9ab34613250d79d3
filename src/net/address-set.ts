import { BlockList, isIPv6 } from 'node:net'
import { addToAccess } from './address.ts'

/** Verdicts remembered per address; a home has far fewer, and a flood of forged addresses must not grow it. */
const VERDICTS_MAX = 4096

/** Whether an address lies in one of the networks: `lan`, addresses and prefixes that `isAccessEntry` accepted. */
export function addressSet(networks: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const network of networks) addToAccess(list, network)
  const verdicts = new Map<string, boolean>()
  return (address) => {
    const known = verdicts.get(address)
    if (known !== undefined) return known
    if (verdicts.size >= VERDICTS_MAX) verdicts.clear()
    const verdict = list.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
    verdicts.set(address, verdict)
    return verdict
  }
}
