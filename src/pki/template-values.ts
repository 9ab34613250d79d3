import type { CsrTemplate } from './csr-template.ts'
import { normalName } from './general-names.ts'

/** Must be there, the client chooses the value (RFC 9115 §4.1). */
export const MANDATORY = '**'
/** May be there, the client chooses the value. */
export const OPTIONAL = '*'

/** Every other text is a literal: it must be there, with this value. `*.x.example` is one. */
export const isWildcard = (value: string): boolean => value === MANDATORY || value === OPTIONAL

/** What the DNS entries of a template mean together. */
export function dnsRules({ extensions }: CsrTemplate): {
  readonly literals: readonly string[]
  readonly chosenMin: number
  readonly chosenMax: number
} {
  const entries = extensions.subjectAltName.DNS ?? []
  const chosenMin = entries.filter((entry) => entry === MANDATORY).length
  const optional = entries.filter((entry) => entry === OPTIONAL).length
  const literals = [...new Set(entries.filter((entry) => !isWildcard(entry)).map(normalName))]
  return { literals, chosenMin, chosenMax: chosenMin + optional }
}
