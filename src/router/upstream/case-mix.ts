import { lowerOctet } from '../../dns/name.ts'
import { random16 } from './question.ts'

/** Where the name of the first question starts, behind the header. */
const NAME_START = 12

/**
 * Gives each letter of the first question's name a random case, in place: a forger has to guess that as well (the
 * practice called 0x20, after the bit that tells the cases apart).
 */
export function mixCase(wire: Uint8Array): void {
  let bits = 0
  let left = 0
  // A name has at most 127 labels, and this one was checked when the query was read.
  for (let label = NAME_START; wire[label] !== 0; label += wire[label]! + 1) {
    const end = label + wire[label]!
    for (let at = label + 1; at <= end; at++) {
      const lower = lowerOctet(wire[at]!)
      if (lower < 0x61 || lower > 0x7a) continue
      if (left === 0) [bits, left] = [random16(), 16]
      wire[at] = (bits & 1) === 0 ? lower : lower & ~0x20
      bits >>= 1
      left--
    }
  }
}

/** Whether the reply spells the name as it was asked. Both hold the same question, letter case aside. */
export function repeatsCase(reply: Uint8Array, sent: Uint8Array): boolean {
  for (let at = NAME_START; sent[at] !== 0; at++) if (reply[at] !== sent[at]) return false
  return true
}
