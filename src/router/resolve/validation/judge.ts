import { EXTENDED_ERROR, RCODE, TYPE, typeName } from '../../../dns/codes.ts'
import type { Denial } from '../../../dns/dnssec/denial.ts'
import { type CanonicalName, isAtOrUnder, isUnder, nameText, parentOf } from '../../../dns/dnssec/name.ts'
import type { Rrset } from '../../../dns/dnssec/rrset.ts'
import { verifyRrset } from '../../../dns/dnssec/verify.ts'
import type { ExtendedError } from '../../../dns/edns.ts'
import type { TrustAnchors } from './anchors.ts'
import type { Asker } from './asker.ts'
import { type Insecure, isRefused, type Refused, type SecureZone, type VerifiedSet, type Zones } from './zones.ts'

/** RFC 4033 §5. */
export type Verdict =
  /** The sets that were proven, and how long they may be believed. Others in answer and authority must not be passed on. */
  { readonly kind: 'secure'; readonly proven: readonly VerifiedSet[] } | Insecure | Refused

interface SecureSet {
  readonly kind: 'secure'
  readonly ttlS: number
  readonly zone: SecureZone
  /** The name below which a wildcard was expanded. */
  readonly expandedUnder?: CanonicalName
}

export interface Judged {
  readonly name: CanonicalName
  readonly type: number
  readonly rcode: number
  readonly sets: readonly Rrset[]
}

/** Aliases followed; resolvers themselves stop at 8 to 16. */
const ALIASES_MAX = 32

/** Judges one answer: every set of it, and the proof for everything it says is not there (RFC 4035 §5). */
export class Judge {
  readonly #zones: Zones
  readonly #anchors: TrustAnchors
  readonly #asker: Asker
  readonly #nowS: number
  readonly #denials = new Map<CanonicalName, { readonly denial: Denial; readonly used: readonly VerifiedSet[] }>()

  constructor(context: { readonly zones: Zones; readonly anchors: TrustAnchors }, asker: Asker, nowS: number) {
    this.#zones = context.zones
    this.#anchors = context.anchors
    this.#asker = asker
    this.#nowS = nowS
  }

  async judge(answer: Judged): Promise<Verdict> {
    // Signatures over signatures do not exist (RFC 4035 §2.2).
    const answers = answer.sets.filter(({ section, rdatas }) => section === 'answer' && rdatas.length > 0)
    if (answer.type === TYPE.RRSIG && answers.length === 0 && answer.sets.some(({ section }) => section === 'answer'))
      return { kind: 'insecure' }

    const proven: VerifiedSet[] = []
    let insecure: Insecure | undefined
    for (const set of answers) {
      const lead = dnameOf(set, answers)
      const found = await this.#set(lead ?? set)
      if (isRefused(found)) return found
      if (found.kind === 'insecure') {
        insecure ??= found
        continue
      }
      proven.push({ set, ttlS: found.ttlS })
      if (found.expandedUnder === undefined || lead) continue
      const { denial } = this.#denialOf(answer.sets, found.zone)
      const denied = denial.expansion(set.name, found.expandedUnder)
      if (denied.kind === 'unproven') return { kind: 'bogus', error: denied.error }
      if (denied.kind === 'insecure') insecure ??= denied
    }

    const last = lastName(answer, answers)
    if (last.kind === 'missing') {
      const denied = await this.#missing(answer, last.name)
      if (isRefused(denied)) return denied
      if (denied.kind === 'insecure') insecure ??= denied
      else proven.push(...denied.proven)
    } else if (answer.rcode === RCODE.NXDOMAIN) {
      return bogus(EXTENDED_ERROR.DNSSEC_BOGUS, `${nameText(last.name)} is said not to exist, and is there`)
    }
    for (const { used } of this.#denials.values()) proven.push(...used)
    return insecure ?? { kind: 'secure', proven }
  }

  async #set(set: Rrset): Promise<SecureSet | Insecure | Refused> {
    const home = homeOf(set.name, set.type)
    const anchor = this.#anchors.closest(home)
    if (!anchor || anchor.kind === 'negative') return { kind: 'insecure' }
    const signer = set.signatures
      .map((rrsig) => rrsig.signer)
      .find((name) => isAtOrUnder(home, name) && isAtOrUnder(name, anchor.zone))
    const state = await this.#zones.zoneOf(signer ?? home, this.#asker)
    if (state.kind !== 'secure') return state
    const what = `${nameText(set.name)} ${typeName(set.type)}`
    if (signer === undefined) return bogus(EXTENDED_ERROR.RRSIGS_MISSING, `${what} is not signed`)
    if (signer !== state.name)
      return bogus(EXTENDED_ERROR.DNSSEC_BOGUS, `${what} is signed by ${nameText(signer)}, which is no zone`)
    const verified = verifyRrset(set, state, this.#nowS, this.#asker.budget)
    return verified.kind === 'secure' ? { ...verified, zone: state } : verified
  }

  /** The answer says that a name, or a type at it, does not exist. */
  async #missing(answer: Judged, name: CanonicalName): Promise<Verdict> {
    const home = homeOf(name, answer.type)
    const anchor = this.#anchors.closest(home)
    if (!anchor || anchor.kind === 'negative') return { kind: 'insecure' }
    let error: ExtendedError | undefined
    for (const signer of deniersOf(answer.sets, home, anchor.zone)) {
      const state = await this.#zones.zoneOf(signer, this.#asker)
      if (state.kind !== 'secure') return state
      if (state.name !== signer) continue
      const { denial } = this.#denialOf(answer.sets, state)
      const denied = answer.rcode === RCODE.NXDOMAIN ? denial.noName(name) : denial.noData(name, answer.type)
      if (denied.kind === 'proven') return this.#withSoa(answer.sets)
      if (denied.kind === 'insecure') return denied
      error = denied.error
    }
    const state = await this.#zones.zoneOf(home, this.#asker)
    if (state.kind !== 'secure') return state
    const text = `${nameText(name)} ${typeName(answer.type)} is said to be missing, without proof`
    return { kind: 'bogus', error: error ?? { code: EXTENDED_ERROR.NSEC_MISSING, text } }
  }

  /** The SOA says for how long nothing is there (RFC 2308 §5), so it must be proven with the rest. */
  async #withSoa(sets: readonly Rrset[]): Promise<Verdict> {
    const proven: VerifiedSet[] = []
    for (const set of sets) {
      if (set.section !== 'authority' || set.type !== TYPE.SOA || set.rdatas.length === 0) continue
      const found = await this.#set(set)
      if (found.kind !== 'secure') return found
      proven.push({ set, ttlS: found.ttlS })
    }
    return { kind: 'secure', proven }
  }

  #denialOf(
    sets: readonly Rrset[],
    zone: SecureZone,
  ): { readonly denial: Denial; readonly used: readonly VerifiedSet[] } {
    const known = this.#denials.get(zone.name)
    if (known) return known
    const made = this.#zones.denialOf(sets, zone, this.#asker)
    this.#denials.set(zone.name, made)
    return made
  }
}

/** The zone above speaks for DS (RFC 4035 §2.4). */
function homeOf(name: CanonicalName, type: number): CanonicalName {
  return type === TYPE.DS ? parentOf(name) : name
}

/** Where the aliases of the answer lead from the name asked for, and whether the type is there. */
function lastName(
  { name: first, type }: Judged,
  answers: readonly Rrset[],
): { readonly kind: 'found' | 'missing'; readonly name: CanonicalName } {
  let name = first
  for (let aliases = 0; aliases <= ALIASES_MAX; aliases++) {
    const here = answers.filter((set) => set.name === name)
    if (here.some((set) => set.type === type || type === TYPE.ANY)) return { kind: 'found', name }
    const alias = here.find((set) => set.type === TYPE.CNAME)
    if (!alias) break
    name = targetOf(alias)
  }
  return { kind: 'missing', name }
}

/** Canonical RDATA of CNAME and DNAME is the target's canonical name. */
function targetOf(set: Rrset): CanonicalName {
  return Buffer.from(set.rdatas[0]!).toString('latin1')
}

/** The DNAME that an unsigned CNAME was made from (RFC 6672 §5.3.1): it is as good as that. */
function dnameOf(set: Rrset, answers: readonly Rrset[]): Rrset | undefined {
  if (set.type !== TYPE.CNAME || set.signatures.length > 0 || set.rdatas.length !== 1) return undefined
  return answers.find((dname) => {
    if (dname.type !== TYPE.DNAME || !isUnder(set.name, dname.name)) return false
    return targetOf(set) === set.name.slice(0, set.name.length - dname.name.length) + targetOf(dname)
  })
}

/** The zones that have signed what may be a proof about the name, the nearest first. */
function deniersOf(sets: readonly Rrset[], home: CanonicalName, anchor: CanonicalName): readonly CanonicalName[] {
  const signers = sets
    .filter(({ section, type }) => section === 'authority' && (type === TYPE.NSEC || type === TYPE.NSEC3))
    .flatMap(({ signatures }) => signatures.map(({ signer }) => signer))
    .filter((signer) => isAtOrUnder(home, signer) && isAtOrUnder(signer, anchor))
  return [...new Set(signers)].toSorted((a, b) => b.length - a.length)
}

function bogus(code: number, text: string): Refused {
  return { kind: 'bogus', error: { code, text } }
}
