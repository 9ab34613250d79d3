import { addressText, addressToBytes } from '../dns/address.ts'
import type { Endpoint } from './bind.ts'

/**
 * Many datagrams for one system call, by recvmmsg(2) and sendmmsg(2) through node:ffi (Node 26 and later, Linux, 64 bit).
 * On loopback a datagram costs more in calls than in everything we do for it, so this halves the cost of an answer.
 */
export interface DatagramBatch {
  /** Takes what waits in the socket, at most BATCH datagrams, and says how many came. What was there before is gone. */
  receive(): number
  /** A copy of the datagram at `index`: a question that waits for an upstream outlives the batch. */
  message(index: number): Buffer
  /** Who sent it. An IPv6 address has no zone here; `reply` knows it. */
  sender(index: number): { readonly address: string; readonly port: number }
  /** A slot for a datagram that came by other means; undefined for an address with a zone. */
  lone(address: string, port: number): number | undefined
  /** Where an answer to the datagram at `index` is to be written, REPLY_BYTES_MAX octets. */
  room(index: number): Uint8Array
  /** Puts the first `length` octets of the room on the list of what `send` sends. */
  reply(index: number, length: number): void
  /** Sends what was listed. What the kernel has no room for is lost, as datagrams may be. */
  send(): void
}

/** More at a time gain nothing measurable; a home never has that many. */
export const BATCH = 64
/** No client sends a longer query by UDP; what is longer is cut, and then it is no message. */
const MESSAGE_BYTES_MAX = 4096
/** As long as our UDP answers get (DNS flag day 2020). */
const REPLY_BYTES_MAX = 1232
/** All of them and the lone one. */
const SLOTS = BATCH + 1
const ADDRESSES_MAX = 1024

const MSG_DONTWAIT = 0x40
const AF_INET = 2
const AF_INET6 = 10
const SOCKADDR_IN_BYTES = 16
/** struct sockaddr_in6 is the longer one. */
const SOCKADDR_BYTES = 28
const SOCKADDR_WORDS = SOCKADDR_BYTES / 4
/**
 * In words of four octets, on 64 bit and little-endian: struct mmsghdr is a msghdr of 14 words, the length received, and
 * padding; struct iovec is a pointer and a length.
 */
const MMSGHDR_WORDS = 16
const NAME_AT = 0
const NAME_LENGTH_AT = 2
const IOVEC_AT = 4
const IOVEC_COUNT_AT = 6
const RECEIVED_AT = 14
const IOVEC_WORDS = 4
const IOVEC_LENGTH_AT = 2

const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0x800 | 0x80000

type Calls = Readonly<Record<keyof typeof CALLS, (...values: readonly (number | Uint8Array | null)[]) => number>>

interface ForeignFunctions {
  dlopen(library: null, functions: object): { readonly functions: Calls }
  getRawPointer(bytes: Uint8Array): bigint
}

const CALLS = {
  socket: { return: 'i32', arguments: ['i32', 'i32', 'i32'] },
  bind: { return: 'i32', arguments: ['i32', 'pointer', 'u32'] },
  close: { return: 'i32', arguments: ['i32'] },
  recvmmsg: { return: 'i32', arguments: ['i32', 'pointer', 'u32', 'i32', 'pointer'] },
  sendmmsg: { return: 'i32', arguments: ['i32', 'pointer', 'u32', 'i32'] },
} as const

/** Opens a socket for node:dgram (`bind({ fd })`), which goes on saying when there is something to read. */
export type OpenBatchSocket = (at: Endpoint) => { readonly fd: number; readonly batch: DatagramBatch } | undefined

/** Undefined where the runtime or the machine has no such calls; then datagrams go one by one. */
export async function batchSockets(): Promise<OpenBatchSocket | undefined> {
  if (process.platform !== 'linux' || !['x64', 'arm64'].includes(process.arch)) return undefined
  try {
    const name = 'node:ffi' // not known to older runtimes, nor to the types
    const { default: ffi } = (await import(name)) as { readonly default: ForeignFunctions }
    const { functions: calls } = ffi.dlopen(null, CALLS)
    return ({ host, port }) => {
      const octets = addressToBytes(host) // none for a name or an address with a zone: node:dgram does those
      if (!octets) return undefined
      const fd = calls.socket(octets.length === 4 ? AF_INET : AF_INET6, SOCK_DGRAM_NONBLOCK_CLOEXEC, 0)
      if (fd < 0) return undefined
      const name = socketAddress(octets, port)
      // Why it cannot be bound, node:dgram says better.
      if (calls.bind(fd, name, name.length) === 0)
        return { fd, batch: openBatch(fd, calls, (bytes) => ffi.getRawPointer(bytes)) }
      calls.close(fd)
      return undefined
    }
  } catch {
    return undefined
  }
}

/** struct sockaddr_in or sockaddr_in6. */
function socketAddress(octets: Uint8Array, port: number): Buffer {
  const name = Buffer.alloc(octets.length === 4 ? SOCKADDR_IN_BYTES : SOCKADDR_BYTES)
  name.writeUInt16LE(octets.length === 4 ? AF_INET : AF_INET6, 0)
  name.writeUInt16BE(port, 2)
  name.set(octets, octets.length === 4 ? 4 : 8)
  return name
}

function openBatch(fd: number, calls: Calls, addressOf: (bytes: Uint8Array) => bigint): DatagramBatch {
  const senders = new Uint8Array(SLOTS * SOCKADDR_BYTES)
  const senderWords = new Uint32Array(senders.buffer)
  const incoming = lay(MESSAGE_BYTES_MAX)
  const outgoing = lay(REPLY_BYTES_MAX)
  const rooms = Array.from({ length: SLOTS }, (_, index) =>
    outgoing.bytes.subarray(index * REPLY_BYTES_MAX, (index + 1) * REPLY_BYTES_MAX),
  )
  /** Where the sender and the room of each slot are, as `lay` has put it into the headers. */
  const pointers = outgoing.headers.slice()
  const known = new Addresses()
  let listed = 0

  /** Headers whose entries point at the senders and at slots of `slotBytes` octets. */
  function lay(slotBytes: number): { headers: Uint32Array; iovecs: Uint32Array; bytes: Buffer } {
    const bytes = Buffer.allocUnsafeSlow(SLOTS * slotBytes)
    const headers = new Uint32Array(SLOTS * MMSGHDR_WORDS)
    const iovecs = new Uint32Array(SLOTS * IOVEC_WORDS)
    const put = (words: Uint32Array, at: number, value: bigint): void => {
      words[at] = Number(value & 0xffff_ffffn)
      words[at + 1] = Number(value >> 32n)
    }
    const [sendersAt, iovecsAt, bytesAt] = [senders, octetsOf(iovecs), bytes].map(addressOf) as [bigint, bigint, bigint]
    for (let index = 0; index < SLOTS; index++) {
      const header = index * MMSGHDR_WORDS
      put(headers, header + NAME_AT, sendersAt + BigInt(index * SOCKADDR_BYTES))
      put(headers, header + IOVEC_AT, iovecsAt + BigInt(index * IOVEC_WORDS * 4))
      put(headers, header + IOVEC_COUNT_AT, 1n)
      put(iovecs, index * IOVEC_WORDS, bytesAt + BigInt(index * slotBytes))
      put(iovecs, index * IOVEC_WORDS + IOVEC_LENGTH_AT, BigInt(slotBytes))
    }
    return { headers, iovecs, bytes }
  }
  const [receiving, sending] = [octetsOf(incoming.headers), octetsOf(outgoing.headers)]

  return {
    receive() {
      for (let index = 0; index < BATCH; index++)
        incoming.headers[index * MMSGHDR_WORDS + NAME_LENGTH_AT] = SOCKADDR_BYTES
      return Math.max(0, calls.recvmmsg(fd, receiving, BATCH, MSG_DONTWAIT, null))
    },
    message(index) {
      const start = index * MESSAGE_BYTES_MAX
      const copy = Buffer.allocUnsafe(incoming.headers[index * MMSGHDR_WORDS + RECEIVED_AT]!)
      incoming.bytes.copy(copy, 0, start, start + copy.length)
      return copy
    },
    sender(index) {
      const at = index * SOCKADDR_WORDS
      const port = senderWords[at]! >>> 16
      return {
        address: isIPv4At(at)
          ? known.textOf(senderWords[at + 1]!)
          : addressText(senders.subarray(at * 4 + 8, at * 4 + 24)),
        port: ((port & 0xff) << 8) | (port >> 8),
      }
    },
    lone(address, port) {
      const octets = known.octetsOf(address)
      if (!octets) return undefined
      const name = socketAddress(octets, port)
      senders.set(name, BATCH * SOCKADDR_BYTES)
      return BATCH
    },
    room: (index) => rooms[index]!,
    reply(index, length) {
      // The list is dense, the rooms are where they are: each entry is pointed at its room and its sender.
      const [to, from] = [listed++ * MMSGHDR_WORDS, index * MMSGHDR_WORDS]
      const { headers, iovecs } = outgoing
      headers[to + NAME_AT] = pointers[from + NAME_AT]!
      headers[to + NAME_AT + 1] = pointers[from + NAME_AT + 1]!
      headers[to + NAME_LENGTH_AT] = isIPv4At(index * SOCKADDR_WORDS) ? SOCKADDR_IN_BYTES : SOCKADDR_BYTES
      headers[to + IOVEC_AT] = pointers[from + IOVEC_AT]!
      headers[to + IOVEC_AT + 1] = pointers[from + IOVEC_AT + 1]!
      iovecs[index * IOVEC_WORDS + IOVEC_LENGTH_AT] = length
    },
    send() {
      if (listed > 0) calls.sendmmsg(fd, sending, listed, MSG_DONTWAIT)
      listed = 0
    },
  }

  function isIPv4At(at: number): boolean {
    return (senderWords[at]! & 0xffff) === AF_INET
  }
}

function octetsOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer)
}

/** Clients ask more than once, so what their addresses are as text and as octets is remembered. */
class Addresses {
  readonly #texts = new Map<number, string>()
  readonly #octets = new Map<string, Uint8Array | undefined>()

  /** `word`: the four octets of an IPv4 address as they lie in memory. */
  textOf(word: number): string {
    const known = this.#texts.get(word)
    if (known !== undefined) return known
    if (this.#texts.size >= ADDRESSES_MAX) this.#texts.clear()
    const text = addressText(octetsOf(Uint32Array.of(word)))
    this.#texts.set(word, text)
    return text
  }

  octetsOf(text: string): Uint8Array | undefined {
    if (this.#octets.has(text)) return this.#octets.get(text)
    if (this.#octets.size >= ADDRESSES_MAX) this.#octets.clear()
    const octets = addressToBytes(text)
    this.#octets.set(text, octets)
    return octets
  }
}
