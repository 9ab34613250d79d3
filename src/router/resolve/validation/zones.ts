import type { Clock } from '../../../core/clock.ts'
import { EXTENDED_ERROR, RCODE, TYPE } from '../../../dns/codes.ts'
import { isKnownAlgorithm } from '../../../dns/dnssec/algorithm.ts'
import { KEYS_PER_TAG_MAX } from '../../../dns/dnssec/budget.ts'
import { Denial } from '../../../dns/dnssec/denial.ts'
import { type Dnskey, isRevoked, isZoneKey, parseDnskey } from '../../../dns/dnssec/dnskey.ts'
import { type Ds, isDsOf, parseDs, usableDs } from '../../../dns/dnssec/ds.ts'
import { ancestorOf, type CanonicalName, isUnder, labelCount, nameText } from '../../../dns/dnssec/name.ts'
import type { Rrset } from '../../../dns/dnssec/rrset.ts'
import { verifyRrset } from '../../../dns/dnssec/verify.ts'
import type { ExtendedError } from '../../../dns/edns.ts'
import type { TrustAnchors } from './anchors.ts'
import type { Asker } from './asker.ts'
import { ExpiringMap } from './expiring-map.ts'

/** What is known of the zone that a name is in (RFC 4035 §4.3). */
export type ZoneState = SecureZone | Insecure | Refused

export interface Insecure {
  readonly kind: 'insecure'
  readonly error?: ExtendedError
}

export interface Refused {
  readonly kind: 'bogus' | 'indeterminate'
  readonly error: ExtendedError
}

export function isRefused(finding: { readonly kind: string }): finding is Refused {
  return finding.kind === 'bogus' || finding.kind === 'indeterminate'
}

export interface SecureZone {
  readonly kind: 'secure'
  readonly name: CanonicalName
  readonly keys: readonly Dnskey[]
}

/** A step down from a signed zone by one label: into a zone of its own, or still the same one. */
type Step =
  | { readonly kind: 'cut'; readonly state: ZoneState }
  /** `isLast`: the name does not exist, so nothing below it does (RFC 8020). */
  | { readonly kind: 'no-cut'; readonly isLast: boolean }

interface Timed<T> {
  readonly value: T
  /** 0: not to be kept. */
  readonly ttlS: number
}

/** Zones, unsigned delegations and names that are neither; some 1 KiB each, for the top of the tree and a home's habits. */
const STEPS_MAX = 2_000
/** A day, as long as the registries' own TTLs. */
const TTL_S_MAX = 86_400
/** A TTL of 0 would mean to climb down from the root for every question. */
const TTL_S_MIN = 5
/** How long a broken zone is not tried again (RFC 9520 §3.2 wants 1 s to 5 min). */
const BOGUS_TTL_S = 30
/** Keys of one zone: two of each kind, doubled by a roll-over of the algorithm. */
const KEYS_MAX = 32
const DS_MAX = 16

export const INSECURE: ZoneState = { kind: 'insecure' }

/** Climbs down from the trust anchors, label by label, and remembers every step (RFC 4035 §5). */
export class Zones {
  readonly #anchors: TrustAnchors
  readonly #clock: Clock
  readonly #known: ExpiringMap<Step>
  /** Steps being looked up, so that two questions make one climb. */
  readonly #underWay = new Map<string, Promise<Timed<Step>>>()

  constructor(anchors: TrustAnchors, clock: Clock) {
    this.#anchors = anchors
    this.#clock = clock
    this.#known = new ExpiringMap(STEPS_MAX, clock)
  }

  get size(): number {
    return this.#known.size
  }

  forget(): void {
    this.#known.clear()
  }

  /** The zone that the name is in, as seen from the closest trust anchor above it. */
  async zoneOf(name: CanonicalName, asker: Asker): Promise<ZoneState> {
    const anchor = this.#anchors.closest(name)
    if (!anchor || anchor.kind === 'negative') return INSECURE
    let state = await this.#anchored(anchor.zone, anchor.ds, asker)
    const labels = labelCount(name)
    for (let depth = labelCount(anchor.zone) + 1; depth <= labels && state.kind === 'secure'; depth++) {
      const step = await this.#step(ancestorOf(name, depth), state, asker)
      if (step.kind === 'cut') state = step.state
      else if (step.isLast) break
    }
    return state
  }

  /** Looks at the keys of an anchor's zone anew; the anchors get to see them (RFC 5011 §2.3). */
  async refresh(zone: CanonicalName, asker: Asker): Promise<ZoneState> {
    const anchor = this.#anchors.closest(zone)
    if (anchor?.kind !== 'positive' || anchor.zone !== zone) return INSECURE
    this.#known.delete(asker.scope + anchorKey(zone))
    return this.#anchored(zone, anchor.ds, asker)
  }

  async #anchored(zone: CanonicalName, ds: readonly Ds[], asker: Asker): Promise<ZoneState> {
    const step = await this.#remembered(anchorKey(zone), asker, async () => {
      // Every key was revoked: the trust point is gone, as if it had never been configured (RFC 5011 §5).
      const { value, ttlS } = ds.length > 0 ? await this.#open(zone, ds, asker, 'anchor') : { value: INSECURE, ttlS: 0 }
      return { value: { kind: 'cut', state: value }, ttlS }
    })
    return step.kind === 'cut' ? step.state : INSECURE
  }

  #step(child: CanonicalName, zone: SecureZone, asker: Asker): Promise<Step> {
    return this.#remembered(child, asker, () => this.#lookUp(child, zone, asker))
  }

  /** Clients of different scopes may ask different upstreams, of which one may be broken. */
  async #remembered(name: string, asker: Asker, lookUp: () => Promise<Timed<Step>>): Promise<Step> {
    const key = asker.scope + name
    const known = this.#known.get(key)
    if (known) return known
    // What failed for another question, because that one was late or had spent its budget, is tried once more for this.
    const underWay = this.#underWay.get(key)
    const joined = underWay && (await underWay.catch(() => undefined))
    if (joined && joined.ttlS > 0) return joined.value
    const flight = this.#underWay.get(key) ?? this.#start(key, asker, lookUp)
    return (await flight).value
  }

  #start(key: string, asker: Asker, lookUp: () => Promise<Timed<Step>>): Promise<Timed<Step>> {
    const look = async (): Promise<Timed<Step>> => {
      const { value, ttlS } = await lookUp()
      // One question that costs too much must not spoil a zone for all others.
      if (ttlS === 0 || asker.budget.isSpent) return { value, ttlS: 0 }
      this.#known.set(key, value, Math.min(Math.max(ttlS, TTL_S_MIN), TTL_S_MAX))
      return { value, ttlS }
    }
    const flight = look().finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, flight)
    return flight
  }

  /** Does a zone of its own begin at `child`, and who says so? Only the zone above may (RFC 4035 §5.2). */
  async #lookUp(child: CanonicalName, zone: SecureZone, asker: Asker): Promise<Timed<Step>> {
    const reply = await asker.ask(child, TYPE.DS)
    if (reply.kind === 'failure') return cut({ kind: 'indeterminate', error: reply.error }, 0)
    const isLast = reply.rcode === RCODE.NXDOMAIN
    const found = reply.sets.find(({ section, name, type, rdatas }) => {
      return section === 'answer' && name === child && type === TYPE.DS && rdatas.length > 0
    })
    if (found) return this.#enter(child, found, zone, asker)
    // An alias is no delegation. Where a DNAME leads away, there is none below it either.
    const alias = reply.sets.find(({ section, name, type, signatures }) => {
      if (section !== 'answer' || signatures.length === 0) return false
      return (type === TYPE.CNAME && name === child) || (type === TYPE.DNAME && isUnder(child, name))
    })
    if (alias) {
      const verified = verifyRrset(alias, zone, this.#nowS(), asker.budget)
      if (verified.kind === 'bogus') return cut(verified, BOGUS_TTL_S)
      return { value: { kind: 'no-cut', isLast: alias.type === TYPE.DNAME }, ttlS: verified.ttlS }
    }
    const { denial, ttlS } = this.denialOf(reply.sets, zone, asker)
    const proof = denial.cut(child)
    if (proof.kind === 'no-cut') return { value: { kind: 'no-cut', isLast }, ttlS }
    if (proof.kind === 'insecure') return cut(proof, ttlS)
    return cut({ kind: 'bogus', error: proof.error }, BOGUS_TTL_S)
  }

  async #enter(child: CanonicalName, set: Rrset, zone: SecureZone, asker: Asker): Promise<Timed<Step>> {
    const verified = verifyRrset(set, zone, this.#nowS(), asker.budget)
    if (verified.kind === 'bogus') return cut(verified, BOGUS_TTL_S)
    const all = set.rdatas.slice(0, DS_MAX).flatMap((rdata) => parseDs(rdata) ?? [])
    const usable = usableDs(all)
    if (usable.length === 0) return cut({ kind: 'insecure', error: unsupported(child, all) }, verified.ttlS)
    const { value, ttlS } = await this.#open(child, usable, asker, 'delegation')
    return cut(value, Math.min(ttlS, value.kind === 'secure' ? verified.ttlS : ttlS))
  }

  /** The keys of a zone, by the digests that its parent or a trust anchor gives (RFC 4035 §5.2, §5.3). */
  async #open(
    zone: CanonicalName,
    ds: readonly Ds[],
    asker: Asker,
    by: 'anchor' | 'delegation',
  ): Promise<Timed<ZoneState>> {
    const reply = await asker.ask(zone, TYPE.DNSKEY)
    if (reply.kind === 'failure') return { value: { kind: 'indeterminate', error: reply.error }, ttlS: 0 }
    const broken = (code: number, text: string): Timed<ZoneState> => ({
      value: { kind: 'bogus', error: { code, text: `${nameText(zone)} ${text}` } },
      ttlS: BOGUS_TTL_S,
    })
    const set = reply.sets.find(({ section, name, type, rdatas }) => {
      return section === 'answer' && name === zone && type === TYPE.DNSKEY && rdatas.length > 0
    })
    if (!set) return broken(EXTENDED_ERROR.DNSKEY_MISSING, 'has no DNSKEY')
    const all = set.rdatas.slice(0, KEYS_MAX).flatMap((rdata) => parseDnskey(rdata) ?? [])
    if (by === 'anchor') this.#anchors.observeRevocations(zone, set, all, this.#clock.nowMs(), asker.budget)
    const keys = all.filter((key) => isZoneKey(key) && !isRevoked(key) && isKnownAlgorithm(key.algorithm))
    if (!all.some(isZoneKey)) return broken(EXTENDED_ERROR.NO_ZONE_KEY_BIT, 'has no key with the zone bit')
    const entries = keys.filter((key) => ds.some((digest) => isDsOf(digest, zone, key))).slice(0, KEYS_PER_TAG_MAX)
    if (entries.length === 0) return broken(EXTENDED_ERROR.DNSKEY_MISSING, 'has no key that its DS or anchor names')
    const verified = verifyRrset(set, { name: zone, keys: entries }, this.#nowS(), asker.budget)
    if (verified.kind === 'bogus') return { value: verified, ttlS: BOGUS_TTL_S }
    if (by === 'anchor') this.#anchors.observe(zone, all, this.#clock.nowMs())
    return { value: { kind: 'secure', name: zone, keys }, ttlS: verified.ttlS }
  }

  /** What the NSEC and NSEC3 records of an answer prove that this zone has signed, and for how long. */
  denialOf(
    sets: readonly Rrset[],
    zone: SecureZone,
    asker: Asker,
  ): { denial: Denial; ttlS: number; used: VerifiedSet[] } {
    const used: VerifiedSet[] = []
    for (const set of sets) {
      if (set.section !== 'authority' || (set.type !== TYPE.NSEC && set.type !== TYPE.NSEC3)) continue
      if (!set.signatures.some(({ signer }) => signer === zone.name)) continue
      const verified = verifyRrset(set, zone, this.#nowS(), asker.budget)
      // One that came of a wildcard says nothing about the name it seems to belong to.
      if (verified.kind === 'secure' && verified.expandedUnder === undefined) used.push({ set, ttlS: verified.ttlS })
    }
    const denial = new Denial(
      zone.name,
      used.map(({ set }) => set),
      asker.budget,
    )
    return { denial, used, ttlS: Math.min(...used.map(({ ttlS }) => ttlS), TTL_S_MAX) }
  }

  #nowS(): number {
    return Math.floor(this.#clock.nowMs() / 1000) >>> 0
  }
}

export interface VerifiedSet {
  readonly set: Rrset
  readonly ttlS: number
}

/** Names are lower-case wire octets and begin with a length below 64, so this is none. */
function anchorKey(zone: CanonicalName): string {
  return `anchor ${zone}`
}

function cut(state: ZoneState, ttlS: number): Timed<Step> {
  return { value: { kind: 'cut', state }, ttlS }
}

/** RFC 8914 §4.2, §4.3: the zone is signed, but not in a way we can check. */
function unsupported(zone: CanonicalName, all: readonly Ds[]): ExtendedError {
  const code = all.some(({ algorithm }) => isKnownAlgorithm(algorithm))
    ? EXTENDED_ERROR.UNSUPPORTED_DS_DIGEST
    : EXTENDED_ERROR.UNSUPPORTED_DNSKEY_ALGORITHM
  return { code, text: nameText(zone) }
}
