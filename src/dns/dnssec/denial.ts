import { EXTENDED_ERROR, TYPE } from '../codes.ts'
import type { ExtendedError } from '../edns.ts'
import type { Budget } from './budget.ts'
import { type CanonicalName, nameText, parentOf } from './name.ts'
import { type Nsec, nsecCut, nsecProvesExpansion, nsecProvesNoData, nsecProvesNoName, parseNsec } from './nsec.ts'
import {
  ITERATIONS_BOGUS_OVER,
  ITERATIONS_INSECURE_OVER,
  type Nsec3,
  Nsec3Chain,
  type Nsec3Proof,
  parseNsec3,
} from './nsec3.ts'
import type { Rrset } from './rrset.ts'

/** `insecure`: nothing wrong, and nothing proven either (opt-out, or more iterations than are worth hashing). */
export type Denied =
  | { readonly kind: 'proven' }
  | { readonly kind: 'insecure'; readonly error?: ExtendedError }
  | { readonly kind: 'unproven'; readonly error: ExtendedError }

export type CutProof = { readonly kind: 'no-cut' } | Exclude<Denied, { readonly kind: 'proven' }>

/** What the NSEC and NSEC3 records of one zone in one answer prove. The caller has verified their signatures. */
export class Denial {
  readonly #zone: CanonicalName
  readonly #nsec: readonly Nsec[]
  readonly #nsec3: Nsec3Chain | undefined

  constructor(zone: CanonicalName, sets: readonly Rrset[], budget: Budget) {
    this.#zone = zone
    this.#nsec = sets.flatMap(({ type, name, rdatas }) =>
      type === TYPE.NSEC ? rdatas.flatMap((rdata) => parseNsec(name, rdata) ?? []) : [],
    )
    const nsec3 = sets.flatMap(({ type, name, rdatas }): Nsec3[] =>
      // Owners are hashes right below the apex (RFC 5155 §3).
      type === TYPE.NSEC3 && parentOf(name) === zone ? rdatas.flatMap((rdata) => parseNsec3(name, rdata) ?? []) : [],
    )
    this.#nsec3 = nsec3.length > 0 ? new Nsec3Chain(zone, nsec3, budget) : undefined
  }

  noName(name: CanonicalName): Denied {
    return this.#judge(name, nsecProvesNoName(this.#nsec, name), (chain) => chain.noName(name))
  }

  noData(name: CanonicalName, type: number): Denied {
    return this.#judge(name, nsecProvesNoData(this.#nsec, name, type), (chain) => chain.noData(name, type))
  }

  /** The name is not in the zone, so that the wildcard right under `encloser` speaks for it. */
  expansion(name: CanonicalName, encloser: CanonicalName): Denied {
    const byNsec = nsecProvesExpansion(this.#nsec, name, encloser)
    return this.#judge(name, byNsec, (chain) => chain.expansion(name, encloser))
  }

  /** Why there is no DS at a name of the zone: it is a delegation to an unsigned zone, or none at all. */
  cut(name: CanonicalName): CutProof {
    const byNsec = nsecCut(this.#nsec, name)
    if (byNsec !== 'unproven') return byNsec === 'no-cut' ? { kind: 'no-cut' } : { kind: 'insecure' }
    const chain = this.#nsec3
    if (!chain) return this.#unproven(name)
    const excess = this.#excess(chain)
    if (excess) return excess
    const byNsec3 = chain.cut(name)
    if (byNsec3 === 'unproven') return this.#unproven(name)
    return byNsec3 === 'no-cut' ? { kind: 'no-cut' } : { kind: 'insecure' }
  }

  #judge(name: CanonicalName, byNsec: boolean, byNsec3: (chain: Nsec3Chain) => Nsec3Proof): Denied {
    if (byNsec) return { kind: 'proven' }
    const chain = this.#nsec3
    if (!chain) return this.#unproven(name)
    const excess = this.#excess(chain)
    if (excess) return excess
    const proof = byNsec3(chain)
    if (proof === 'unproven') return this.#unproven(name)
    return proof === 'proven' ? { kind: 'proven' } : { kind: 'insecure' }
  }

  /** RFC 9276 §3.2. Nothing has been hashed yet. */
  #excess(chain: Nsec3Chain): Exclude<Denied, { kind: 'proven' }> | undefined {
    const { iterations } = chain
    if (iterations <= ITERATIONS_INSECURE_OVER) return undefined
    const text = `${nameText(this.#zone)} hashes names ${iterations} times`
    const error = { code: EXTENDED_ERROR.UNSUPPORTED_NSEC3_ITERATIONS, text }
    return { kind: iterations > ITERATIONS_BOGUS_OVER ? 'unproven' : 'insecure', error }
  }

  #unproven(name: CanonicalName): Exclude<Denied, { kind: 'proven' | 'insecure' }> {
    const text = `${nameText(this.#zone)} does not prove that ${nameText(name)} is missing`
    return { kind: 'unproven', error: { code: EXTENDED_ERROR.NSEC_MISSING, text } }
  }
}
