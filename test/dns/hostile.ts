import { seededRandom } from '../../src/core/seeded-random.ts'

/** Seeded packets for the robustness tests: the same seed gives the same packets, for ever. */

/** Whole numbers of 32 bits. */
export function randomNumbers(seed: number): () => number {
  const random = seededRandom(seed)
  return () => random() * 2 ** 32
}

/** A quarter random octets, the rest damaged copies of the samples: octets changed, cut, doubled, counts raised. */
export function* hostilePackets(seed: number, count: number, samples: readonly Uint8Array[]): Generator<Uint8Array> {
  const next = randomNumbers(seed)
  for (let index = 0; index < count; index++) {
    if (next() % 4 === 0) {
      yield Uint8Array.from({ length: next() % 200 }, () => next() & 0xff)
      continue
    }
    let packet = Uint8Array.from(samples[next() % samples.length]!)
    for (let changes = 1 + (next() % 6); changes > 0 && packet.length > 0; changes--) {
      const at = next() % packet.length
      const kind = next() % 6
      if (kind === 0) packet = packet.slice(0, at)
      else if (kind === 1) packet = Uint8Array.from([...packet.slice(0, at), ...packet.slice(next() % packet.length)])
      else if (kind === 2) packet[at] = 0xc0 | (next() & 0x0f)
      else if (kind === 3) packet[4 + (next() % 8)] = next() % 4
      else packet[at] = next() & 0xff
    }
    yield packet
  }
}

/** 64 KiB of questions, each owned by a pointer to the one before it: following them all takes more than a second. */
export function chainedQuestions(): Uint8Array {
  const wire = new Uint8Array(65_535)
  // A first question that is in order, so that nothing is refused before the names are looked at.
  wire.set([1, 0x61, 0, 0, 1, 0, 1], 12)
  let target = 12
  let count = 1
  let end = 19
  for (; end + 6 <= wire.length; end += 6, count++) {
    wire.set([0xc0 | (target >> 8), target & 0xff, 0, 1, 0, 1], end)
    // Pointers reach only the first 16 KiB; all later names lead to the far end of the chain.
    if (end < 0x4000) target = end
  }
  wire.set([0, 0, 1, 0, count >> 8, count & 0xff])
  return wire.slice(0, end)
}

/** 64 KiB of records that all lead into a chain of 8000 pointers in the first one's data. */
export function chainedRecords(): Uint8Array {
  const wire = new Uint8Array(65_535)
  const chainBytes = 2 * 8000
  const chainStart = 12 + 7 + 11
  wire.set([1, 0x61, 0, 0, 1, 0, 1], 12)
  wire.set([0, 0, 16, 0, 1, 0, 0, 0, 0, chainBytes >> 8, chainBytes & 0xff], 19)
  for (let at = chainStart + 2; at < chainStart + chainBytes; at += 2) {
    wire.set([0xc0 | ((at - 2) >> 8), (at - 2) & 0xff], at)
  }
  const far = chainStart + chainBytes - 2
  let count = 1
  let end = chainStart + chainBytes
  for (; end + 16 <= wire.length; end += 16, count++) {
    wire.set([0xc0 | (far >> 8), far & 0xff, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 1], end)
  }
  wire.set([0, 0, 0x81, 0x80, 0, 1, count >> 8, count & 0xff])
  return wire.slice(0, end)
}

/** 64 KiB of records whose data is no address: each would be an error of its own. */
export function malformedRecords(): Uint8Array {
  const wire = new Uint8Array(65_535)
  let count = 0
  let end = 12
  for (; end + 12 <= wire.length; end += 12, count++) wire.set([0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 1, 9], end)
  wire.set([0, 0, 0x81, 0x80, 0, 0, count >> 8, count & 0xff])
  return wire.slice(0, end)
}
