/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): the hash of DNS cookies (RFC 9018 §4.4). Sixteen octets of key; eight octets
 * come out, as the reference code writes them. Each 64-bit word is two 32-bit halves: BigInt would cost ten times as much.
 */
export function sipHash24(key: Uint8Array, data: Uint8Array): Uint8Array {
  const low = (from: Uint8Array, at: number): number =>
    from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)
  const [k0, k1, k2, k3] = [low(key, 0), low(key, 4), low(key, 8), low(key, 12)]
  // v0 to v3, low half first: the key under "somepseudorandomlygeneratedbytes".
  state[0] = k0 ^ 0x70736575
  state[1] = k1 ^ 0x736f6d65
  state[2] = k2 ^ 0x6e646f6d
  state[3] = k3 ^ 0x646f7261
  state[4] = k0 ^ 0x6e657261
  state[5] = k1 ^ 0x6c796765
  state[6] = k2 ^ 0x79746573
  state[7] = k3 ^ 0x74656462

  const whole = data.length & ~7
  for (let at = 0; at < whole; at += 8) absorb(low(data, at), low(data, at + 4))
  // The last word: what is left, and the length modulo 256 in its highest octet.
  const last = new Uint8Array(8)
  last.set(data.subarray(whole))
  last[7] = data.length
  absorb(low(last, 0), low(last, 4))

  state[4] ^= 0xff
  for (let round = 0; round < 4; round++) sipRound()
  const hash = new Uint8Array(8)
  for (let half = 0; half < 2; half++) {
    const bits = state[half]! ^ state[2 + half]! ^ state[4 + half]! ^ state[6 + half]!
    for (let octet = 0; octet < 4; octet++) hash[4 * half + octet] = bits >>> (8 * octet)
  }
  return hash
}

/** Used within one call only. */
const state = new Int32Array(8)

function absorb(low: number, high: number): void {
  state[6]! ^= low
  state[7]! ^= high
  sipRound()
  sipRound()
  state[0]! ^= low
  state[1]! ^= high
}

function sipRound(): void {
  add(0, 2)
  rotate(2, 13)
  xor(2, 0)
  rotate(0, 32)
  add(4, 6)
  rotate(6, 16)
  xor(6, 4)
  add(0, 6)
  rotate(6, 21)
  xor(6, 0)
  add(4, 2)
  rotate(2, 17)
  xor(2, 4)
  rotate(4, 32)
}

/** Each takes the index of a word's low half. */
function add(to: number, from: number): void {
  const low = (state[to]! >>> 0) + (state[from]! >>> 0)
  state[to] = low
  state[to + 1] = state[to + 1]! + state[from + 1]! + (low > 0xffff_ffff ? 1 : 0)
}

function xor(to: number, from: number): void {
  state[to]! ^= state[from]!
  state[to + 1]! ^= state[from + 1]!
}

function rotate(at: number, bits: number): void {
  const [low, high] = [state[at]!, state[at + 1]!]
  if (bits === 32) {
    state[at] = high
    state[at + 1] = low
    return
  }
  state[at] = (low << bits) | (high >>> (32 - bits))
  state[at + 1] = (high << bits) | (low >>> (32 - bits))
}
