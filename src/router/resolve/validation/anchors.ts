import { mkdir, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { toHex } from '../../../core/bytes.ts'
import { explain, type Log } from '../../../core/log.ts'
import type { TrustAnchor } from '../../../dns/dnssec/anchor.ts'
import {
  ANCHOR_STATES,
  afterKeySet,
  afterRevocation,
  TRACKED_KEYS_MAX,
  type TrackedKey,
} from '../../../dns/dnssec/anchor-tracking.ts'
import type { Budget } from '../../../dns/dnssec/budget.ts'
import { type Dnskey, isRevoked, parseDnskey } from '../../../dns/dnssec/dnskey.ts'
import { type Ds, dsOf, isDsOf } from '../../../dns/dnssec/ds.ts'
import { type CanonicalName, canonicalName, nameText, parentOf, ROOT } from '../../../dns/dnssec/name.ts'
import type { Rrset } from '../../../dns/dnssec/rrset.ts'
import { isRevokedByItself } from '../../../dns/dnssec/verify.ts'
import { readFileIfThere, writeFileAtomic } from '../../../store/file.ts'

export type Anchor =
  | { readonly kind: 'positive'; readonly zone: CanonicalName; readonly ds: readonly Ds[] }
  /** Nothing at or below the name is checked (RFC 7646). */
  | { readonly kind: 'negative'; readonly zone: CanonicalName }

export interface TrackedAnchor {
  readonly zone: string
  readonly keyTag: number
  readonly state: TrackedKey['state']
  readonly since: string
}

/** Zones in the file; the settings allow fewer. */
const ZONES_MAX = 64
const FILE_BYTES_MAX = 256 * 1024

/**
 * What is believed without proof: the anchors of the settings, corrected by the roll-overs seen since (RFC 5011), and the
 * names where nothing is checked. The roll-overs are kept in one small file, written only when a key changes its state.
 */
export class TrustAnchors {
  readonly #configured = new Map<CanonicalName, readonly Ds[]>()
  readonly #negative: ReadonlySet<CanonicalName>
  readonly #tracked = new Map<CanonicalName, readonly TrackedKey[]>()
  /** Configured and tracked taken together; made when first asked for after a change. */
  readonly #trusted = new Map<CanonicalName, readonly Ds[]>()
  readonly #file: string | undefined
  readonly #log: Log
  #saving: Promise<void> = Promise.resolve()

  private constructor(options: AnchorOptions) {
    for (const { zone, ds } of options.anchors) this.#configured.set(zone, [...(this.#configured.get(zone) ?? []), ds])
    this.#negative = new Set(options.negative)
    this.#file = options.file
    this.#log = options.log
  }

  /** Reads the roll-overs seen so far. A damaged file is moved aside and reported; the settings then hold alone. */
  static async open(options: AnchorOptions): Promise<TrustAnchors> {
    const anchors = new TrustAnchors(options)
    const { file, log } = options
    const bytes = file === undefined ? undefined : await readFileIfThere(file, FILE_BYTES_MAX)
    if (file === undefined || !bytes) return anchors
    try {
      for (const [zone, keys] of readTracked(bytes.toString())) anchors.#tracked.set(zone, keys)
    } catch (error) {
      const aside = `${file}.damaged`
      await rename(file, aside)
      log.error(
        { ...explain(error), file: aside },
        'trust anchors were damaged and are moved aside; those of the settings hold',
      )
    }
    return anchors
  }

  /** The anchor at the name or the nearest one above it. A positive one below a negative one counts (RFC 7646 §2). */
  closest(name: CanonicalName): Anchor | undefined {
    // At most 127 labels.
    for (let zone = name; ; zone = parentOf(zone)) {
      if (this.#negative.has(zone)) return { kind: 'negative', zone }
      if (this.#configured.has(zone)) return { kind: 'positive', zone, ds: this.#dsOf(zone) }
      if (zone === ROOT) return undefined
    }
  }

  /** The zones with anchors. */
  get zones(): readonly CanonicalName[] {
    return [...this.#configured.keys()]
  }

  status(): readonly TrackedAnchor[] {
    return [...this.#tracked].flatMap(([zone, keys]) =>
      keys.map(({ rdata, state, sinceMs }) => {
        const since = new Date(sinceMs).toISOString()
        return { zone: nameText(zone), keyTag: parseDnskey(rdata)!.keyTag, state, since }
      }),
    )
  }

  /** The zone's keys, verified by one of its anchors. */
  observe(zone: CanonicalName, keys: readonly Dnskey[], nowMs: number): void {
    this.#update(
      zone,
      afterKeySet(this.#tracked.get(zone) ?? [], keys, (key) => this.#isConfigured(zone, key), nowMs),
    )
  }

  /** The zone's keys before anything is verified: a revocation carries its own proof. */
  observeRevocations(zone: CanonicalName, set: Rrset, keys: readonly Dnskey[], nowMs: number, budget: Budget): void {
    const nowS = Math.floor(nowMs / 1000) >>> 0
    for (const key of keys.filter(isRevoked).slice(0, TRACKED_KEYS_MAX)) {
      if (!isRevokedByItself(set, zone, key, nowS, budget)) continue
      const tracked = this.#tracked.get(zone) ?? []
      this.#update(
        zone,
        afterRevocation(tracked, key, (other) => this.#isConfigured(zone, other), nowMs),
      )
    }
  }

  /** When the file holds what is known. */
  saved(): Promise<void> {
    return this.#saving
  }

  #dsOf(zone: CanonicalName): readonly Ds[] {
    const known = this.#trusted.get(zone)
    if (known) return known
    const tracked = (this.#tracked.get(zone) ?? []).map(({ rdata, state }) => ({ key: parseDnskey(rdata)!, state }))
    const gone = tracked.filter(({ state }) => state === 'revoked' || state === 'removed')
    const held = tracked.filter(({ state }) => state === 'valid' || state === 'missing')
    const configured = this.#configured.get(zone)!.filter((ds) => !gone.some(({ key }) => isDsOf(ds, zone, key)))
    const trusted = [...configured, ...held.map(({ key }) => dsOf(zone, key))]
    this.#trusted.set(zone, trusted)
    return trusted
  }

  #isConfigured(zone: CanonicalName, key: Dnskey): boolean {
    return this.#configured.get(zone)?.some((ds) => isDsOf(ds, zone, key)) ?? false
  }

  #update(zone: CanonicalName, after: readonly TrackedKey[]): void {
    const before = this.#tracked.get(zone) ?? []
    const isSame = before.length === after.length && before.every((entry, index) => entry === after[index])
    if (isSame) return
    this.#tracked.set(zone, after)
    this.#trusted.delete(zone)
    for (const { rdata, state } of after.filter((entry) => !before.includes(entry)))
      this.#log.info({ zone: nameText(zone), keyTag: parseDnskey(rdata)!.keyTag, state }, 'trust anchor changed')
    this.#save()
  }

  #save(): void {
    const file = this.#file
    if (file === undefined) return
    const text = writtenTracked(this.#tracked)
    this.#saving = this.#saving.then(async () => {
      try {
        await mkdir(dirname(file), { recursive: true, mode: 0o700 })
        await writeFileAtomic(file, text)
      } catch (error) {
        this.#log.error(explain(error), 'trust anchors were not saved')
      }
    })
  }
}

export interface AnchorOptions {
  readonly anchors: readonly TrustAnchor[]
  readonly negative: readonly CanonicalName[]
  /** Where roll-overs are kept; without it they last as long as this process. */
  readonly file?: string
  readonly log: Log
}

type Tracked = ReadonlyMap<CanonicalName, readonly TrackedKey[]>

function writtenTracked(tracked: Tracked): string {
  const zones = [...tracked].map(([zone, keys]) => [
    nameText(zone),
    keys.map(({ rdata, state, sinceMs }) => ({ key: toHex(rdata), state, since: new Date(sinceMs).toISOString() })),
  ])
  return `${JSON.stringify(Object.fromEntries(zones), null, 2)}\n`
}

/** Throws when anything in it is not as `writtenTracked` makes it: half an anchor file is worse than none. */
function readTracked(text: string): Tracked {
  const tree: unknown = JSON.parse(text)
  if (typeof tree !== 'object' || tree === null || Array.isArray(tree)) throw new Error('it is no table of zones')
  const zones = Object.entries(tree)
  if (zones.length > ZONES_MAX) throw new Error('it has too many zones')
  return new Map(
    zones.map(([text, keys]: [string, unknown]) => {
      const zone = canonicalName(text)
      if (zone === undefined || !Array.isArray(keys) || keys.length > TRACKED_KEYS_MAX)
        throw new Error(`${text} is no zone with keys`)
      return [zone, keys.map(readKey)]
    }),
  )
}

function readKey(entry: unknown): TrackedKey {
  const { key, state, since } = (entry ?? {}) as Readonly<Record<string, unknown>>
  const rdata = typeof key === 'string' && /^([0-9a-f]{2}){5,4096}$/.test(key) ? Buffer.from(key, 'hex') : undefined
  const sinceMs = typeof since === 'string' ? Date.parse(since) : Number.NaN
  const known = ANCHOR_STATES.find((name) => name === state)
  if (!rdata || !known || Number.isNaN(sinceMs)) throw new Error('a key, its state or its date is missing')
  return { rdata: Uint8Array.from(rdata), state: known, sinceMs }
}
