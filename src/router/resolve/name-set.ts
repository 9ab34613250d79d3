import { nameKey } from './name-key.ts'

/** Finds the domain of the list that holds a name: the longest at or above it. Names are as `nameKey` spells them. */
export function nameSet(domains: readonly string[]): (nameKey: string) => string | undefined {
  const known = new Map(domains.map((domain) => [nameKey(domain), domain]))
  if (known.size === 0) return () => undefined
  return (key) => {
    // A name has at most 127 labels; the root is the last.
    for (let at = 0; at < key.length; at += key.charCodeAt(at) + 1) {
      const domain = known.get(key.slice(at))
      if (domain !== undefined) return domain
    }
    return undefined
  }
}
