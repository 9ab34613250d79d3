import { hash } from 'node:crypto'
import { concatBytes } from '../../core/bytes.ts'
import { TYPE } from '../codes.ts'
import { uint16 } from '../wire.ts'
import type { Budget } from './budget.ts'
import { ancestorOf, type CanonicalName, isAtOrUnder, labelCount, octetsOf, parentOf, wildcardUnder } from './name.ts'
import { type Cut, leadsAway, typesLack } from './nsec.ts'
import { hasType, isTypeBitmap } from './type-bitmap.ts'

/** As NSEC, of hashed names (RFC 5155 §3). */
export interface Nsec3 {
  readonly hashAlgorithm: number
  readonly optOut: boolean
  readonly iterations: number
  readonly salt: Uint8Array
  /** In base32hex, lower case: the order of the text is the order of the hashes. */
  readonly ownerHash: string
  readonly nextHash: string
  readonly types: Uint8Array
}

/** More and the zone counts as unsigned (RFC 9276 §3.2; the figure every resolver had settled on by 2022). */
export const ITERATIONS_INSECURE_OVER = 150
/** More and the answer is refused: nobody honest does this to their visitors (RFC 9276 §3.2). */
export const ITERATIONS_BOGUS_OVER = 500

const SHA1 = 1
const HASH_BYTES = 20
const OPT_OUT = 0x01
/** SHA-1 in base32hex without padding. */
const HASH_CHARACTERS = 32

/** Undefined when the octets are no NSEC3, or one with a hash or flags that are not defined (RFC 5155 §8.1, §8.2). */
export function parseNsec3(owner: CanonicalName, rdata: Uint8Array): Nsec3 | undefined {
  if (rdata.length < 5) return undefined
  const [hashAlgorithm, flags] = [rdata[0]!, rdata[1]!]
  const saltEnd = 5 + rdata[4]!
  const nextStart = saltEnd + 1
  const nextEnd = nextStart + HASH_BYTES
  if (hashAlgorithm !== SHA1 || (flags & ~OPT_OUT) !== 0 || rdata[saltEnd] !== HASH_BYTES) return undefined
  const types = rdata.subarray(nextEnd)
  if (owner.charCodeAt(0) !== HASH_CHARACTERS || rdata.length < nextEnd || !isTypeBitmap(types)) return undefined
  return {
    hashAlgorithm,
    optOut: flags === OPT_OUT,
    iterations: uint16(rdata, 2),
    salt: rdata.subarray(5, saltEnd),
    ownerHash: owner.slice(1, 1 + HASH_CHARACTERS),
    nextHash: base32hex(rdata.subarray(nextStart, nextEnd)),
    types,
  }
}

/** H(name): SHA-1 over the name and the salt, and again over each result (RFC 5155 §5). */
export function nsec3Hash(name: CanonicalName, salt: Uint8Array, iterations: number): string {
  // `hash` in one go takes half the time of a Hash object, and there may be 150 of them to a name.
  let digest = hash('sha1', concatBytes([octetsOf(name), salt]), 'buffer')
  const salted = concatBytes([digest, salt])
  for (let left = iterations; left > 0; left--) {
    salted.set(digest)
    digest = hash('sha1', salted, 'buffer')
  }
  return base32hex(digest)
}

/** RFC 4648 §7, in lower case. */
export function base32hex(octets: Uint8Array): string {
  let text = ''
  let bits = 0
  let value = 0
  for (const octet of octets) {
    value = ((value << 8) | octet) & 0xfff
    for (bits += 8; bits >= 5; bits -= 5) text += DIGITS[(value >> (bits - 5)) & 31]
  }
  return bits > 0 ? text + DIGITS[(value << (5 - bits)) & 31] : text
}
const DIGITS = '0123456789abcdefghijklmnopqrstuv'

/** `opt-out`: unsigned delegations may hide where the proof would have to be (RFC 5155 §6, §9.2). */
export type Nsec3Proof = 'proven' | 'opt-out' | 'unproven'

/** The NSEC3 records of one zone in one answer, and what follows from them. */
export class Nsec3Chain {
  readonly #zone: CanonicalName
  readonly #records: readonly Nsec3[]
  readonly #budget: Budget
  readonly #hashes = new Map<CanonicalName, string | undefined>()

  /** Records whose parameters differ from the first one's belong to another chain (RFC 5155 §8.2). */
  constructor(zone: CanonicalName, records: readonly Nsec3[], budget: Budget) {
    const [first] = records
    this.#zone = zone
    this.#budget = budget
    this.#records = records.filter(
      ({ iterations, salt }) => iterations === first!.iterations && Buffer.compare(salt, first!.salt) === 0,
    )
  }

  get iterations(): number {
    return this.#records[0]?.iterations ?? 0
  }

  /** RFC 5155 §8.4. */
  noName(name: CanonicalName): Nsec3Proof {
    const found = this.#closestEncloser(name)
    if (!found?.cover || !this.#covering(wildcardUnder(found.encloser))) return 'unproven'
    return found.cover.optOut ? 'opt-out' : 'proven'
  }

  /** RFC 5155 §8.5, §8.6, §8.7. */
  noData(name: CanonicalName, type: number): Nsec3Proof {
    const own = this.#matching(name)
    if (own) return typesLack(own.types, name, type) ? 'proven' : 'unproven'
    const found = this.#closestEncloser(name)
    if (!found?.cover) return 'unproven'
    const wildcard = this.#matching(wildcardUnder(found.encloser))
    if (wildcard) {
      if (!typesLack(wildcard.types, name, type)) return 'unproven'
      return found.cover.optOut ? 'opt-out' : 'proven'
    }
    return found.cover.optOut ? 'opt-out' : 'unproven'
  }

  /** RFC 5155 §8.8: the signature already says where the wildcard stands. */
  expansion(name: CanonicalName, encloser: CanonicalName): Nsec3Proof {
    const cover = this.#covering(ancestorOf(name, labelCount(encloser) + 1))
    if (!cover) return 'unproven'
    return cover.optOut ? 'opt-out' : 'proven'
  }

  /** RFC 5155 §8.9: no DS at the name. Under opt-out, the name may be an unsigned delegation. */
  cut(name: CanonicalName): Cut {
    const own = this.#matching(name)
    if (own) {
      if (hasType(own.types, TYPE.DS) || hasType(own.types, TYPE.SOA)) return 'unproven'
      return hasType(own.types, TYPE.NS) ? 'unsigned-cut' : 'no-cut'
    }
    const found = this.#closestEncloser(name)
    if (!found?.cover) return 'unproven'
    return found.cover.optOut ? 'unsigned-cut' : 'no-cut'
  }

  /** The longest ancestor that exists, and what shows that the next longer name does not (RFC 5155 §8.3). */
  #closestEncloser(name: CanonicalName): { encloser: CanonicalName; cover: Nsec3 | undefined } | undefined {
    let nextCloser = name
    // At most 127 labels, and the budget ends it sooner.
    for (let encloser = parentOf(name); isAtOrUnder(encloser, this.#zone); encloser = parentOf(encloser)) {
      const match = this.#matching(encloser)
      if (match) return leadsAway(match.types) ? undefined : { encloser, cover: this.#covering(nextCloser) }
      if (encloser === this.#zone) return undefined
      nextCloser = encloser
    }
    return undefined
  }

  #matching(name: CanonicalName): Nsec3 | undefined {
    const wanted = this.#hash(name)
    return wanted === undefined ? undefined : this.#records.find(({ ownerHash }) => ownerHash === wanted)
  }

  #covering(name: CanonicalName): Nsec3 | undefined {
    const wanted = this.#hash(name)
    if (wanted === undefined) return undefined
    return this.#records.find(({ ownerHash, nextHash }) =>
      // The last one of the ring leads back to the first.
      nextHash <= ownerHash ? wanted > ownerHash || wanted < nextHash : wanted > ownerHash && wanted < nextHash,
    )
  }

  #hash(name: CanonicalName): string | undefined {
    if (this.#hashes.has(name)) return this.#hashes.get(name)
    const [first] = this.#records
    const hash =
      first && this.#budget.mayHash(first.iterations + 1) ? nsec3Hash(name, first.salt, first.iterations) : undefined
    this.#hashes.set(name, hash)
    return hash
  }
}
