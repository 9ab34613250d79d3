import { Fingerprint, type FingerprintSeed } from './fingerprint.ts'
import { findLabels, labelStarts } from './labels.ts'
import { NameTable } from './name-table.ts'

/** The rules of all lists: which names they block, and which they except. A list is one of 31 bits. */
export class RuleSet {
  readonly blocked: NameTable
  readonly allowed: NameTable
  readonly seed: FingerprintSeed
  readonly #fingerprint: Fingerprint

  constructor(seed: FingerprintSeed, namesMax: { readonly blocked: number; readonly allowed: number }) {
    this.seed = seed
    this.blocked = new NameTable(namesMax.blocked)
    this.allowed = new NameTable(namesMax.allowed)
    this.#fingerprint = new Fingerprint(seed)
  }

  /**
   * The lists among `lists` that block the name at `start`; 0 when none does, or when one of `lists` or `allowing` excepts
   * it. Allowed beats blocked, whichever name is longer. Nothing is made: a few multiplications per octet and a look into
   * memory per label.
   */
  blockedBy(wire: Uint8Array, start: number, lists: number, allowing: number): number {
    if (lists === 0 || this.blocked.names === 0) return 0
    const labels = findLabels(wire, start)
    const found = this.#find(this.blocked, wire, labels, lists)
    if (found === 0 || this.#find(this.allowed, wire, labels, lists | allowing) !== 0) return 0
    return found
  }

  /** The lists among `lists` with an exception for the name. */
  allowedBy(wire: Uint8Array, start: number, lists: number): number {
    return this.#find(this.allowed, wire, findLabels(wire, start), lists)
  }

  /** From the right, so that one pass over the octets gives every suffix. At most 127 labels. */
  #find(table: NameTable, wire: Uint8Array, labels: number, lists: number): number {
    if (labels === 0 || table.names === 0) return 0
    const fingerprint = this.#fingerprint
    fingerprint.start()
    for (let label = labels - 1; label >= 0; label--) {
      const start = labelStarts[label]!
      fingerprint.addLabel(wire, start + 1, start + 1 + wire[start]!)
      const found = table.find(fingerprint) & lists
      if (found !== 0) return found
    }
    fingerprint.makeExact()
    return table.find(fingerprint) & lists
  }
}

/** The fingerprint of a name in text, as it stands in a list. */
export function addName(fingerprint: Fingerprint, octets: Uint8Array, start: number, end: number): void {
  fingerprint.start()
  for (let labelEnd = end; labelEnd >= start; ) {
    let at = labelEnd - 1
    while (at >= start && octets[at] !== DOT) at--
    fingerprint.addLabel(octets, at + 1, labelEnd)
    labelEnd = at
  }
}
const DOT = 0x2e
