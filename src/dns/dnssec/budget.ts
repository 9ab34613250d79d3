/**
 * How much arithmetic one question may cause. Without bounds a single answer keeps a validator busy for hours: many keys
 * with one tag times many signatures (CVE-2023-50387, KeyTrap), many hashes of long names (CVE-2023-50868).
 */
export class Budget {
  #checks = SIGNATURE_CHECKS_MAX
  #failures = FAILED_CHECKS_MAX
  #rounds = NSEC3_ROUNDS_MAX
  #isSpent = false

  /** Something was refused: what came of it says nothing about the zone, and must not be remembered. */
  get isSpent(): boolean {
    return this.#isSpent
  }

  /** False when no more signatures may be checked for this question. */
  mayCheck(): boolean {
    return this.#may(this.#failures > 0 && this.#checks-- > 0)
  }
  failed(): void {
    this.#failures--
  }
  /** False when no more names may be hashed for this question; a name takes as many rounds as iterations and one. */
  mayHash(rounds: number): boolean {
    this.#rounds -= rounds
    return this.#may(this.#rounds >= 0)
  }

  #may(allowed: boolean): boolean {
    if (!allowed) this.#isSpent = true
    return allowed
  }
}

/** Signatures tried over one RRset; a roll-over of keys and algorithm needs four. */
export const SIGNATURES_PER_RRSET_MAX = 8
/** Keys tried per signature: tags are not unique, but two equal ones in a zone are rare already. */
export const KEYS_PER_TAG_MAX = 4
/** A long reverse name in a signed zone comes to some 60, at 0.1 ms each on a PC. */
const SIGNATURE_CHECKS_MAX = 128
/** An honest zone causes none, one in the middle of a clumsy roll-over a few. */
const FAILED_CHECKS_MAX = 8
/** SHA-1 at 1.5 µs each on a PC. A missing reverse IPv6 name in a zone with the most iterations we accept needs half of it. */
const NSEC3_ROUNDS_MAX = 10_000
