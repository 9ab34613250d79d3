import { addressText, addressToBytes } from '../dns/address.ts'
import type { Endpoint } from './bind.ts'

/**
 * Many datagrams for one system call, by recvmmsg(2) and sendmmsg(2) through node:ffi (Node 26 and later, Linux, 64 bit).
 * On loopback a datagram costs more in calls than in everything we do for it, so this halves the cost of an answer.
 */
export interface DatagramBatch {
  /** Takes what waits in the socket, at most BATCH datagrams, and says how many came. What was there before is gone. */
  receive(): number
  /** The datagram at `index`, in place; valid until the next `receive`. */
  message(index: number): Uint8Array
  /** Who sent it. An IPv6 address has no zone here; `reply` knows it. */
  sender(index: number): { readonly address: string; readonly port: number }
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
const SENDER_TEXTS_MAX = 1024

const MSG_DONTWAIT = 0x40
const AF_INET = 2
const AF_INET6 = 10
const SOCKADDR_IN_BYTES = 16
/** struct sockaddr_in6 is the longer one. */
const SOCKADDR_BYTES = 28
/** On 64 bit: struct mmsghdr is a msghdr of 56 octets, the length received, and padding; struct iovec two words. */
const MMSGHDR_BYTES = 64
const IOVEC_BYTES = 16
const NAME_AT = 0
const NAME_LENGTH_AT = 8
const IOVEC_AT = 16
const IOVEC_COUNT_AT = 24
const RECEIVED_AT = 56

const SOCK_DGRAM_NONBLOCK_CLOEXEC = 2 | 0x800 | 0x80000

type Calls = Readonly<Record<keyof typeof CALLS, (...values: readonly (number | Buffer | null)[]) => number>>

interface ForeignFunctions {
  dlopen(library: null, functions: object): { readonly functions: Calls }
  getRawPointer(bytes: Buffer): bigint
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

function openBatch(fd: number, calls: Calls, addressOf: (bytes: Buffer) => bigint): DatagramBatch {
  const senders = Buffer.allocUnsafeSlow(BATCH * SOCKADDR_BYTES)
  const incoming = lay(Buffer.allocUnsafeSlow(BATCH * MESSAGE_BYTES_MAX), MESSAGE_BYTES_MAX)
  const outgoing = lay(Buffer.allocUnsafeSlow(BATCH * REPLY_BYTES_MAX), REPLY_BYTES_MAX)
  const texts = new Map<string, string>()
  const roomIovecs = addressOf(outgoing.iovecs)
  let listed = 0

  /** Headers whose entries point at the senders and at slots of `slot` octets. */
  function lay(bytes: Buffer, slot: number): { headers: Buffer; iovecs: Buffer; bytes: Buffer } {
    const headers = Buffer.allocUnsafeSlow(BATCH * MMSGHDR_BYTES).fill(0)
    const iovecs = Buffer.allocUnsafeSlow(BATCH * IOVEC_BYTES)
    const [sendersAt, iovecsAt, bytesAt] = [addressOf(senders), addressOf(iovecs), addressOf(bytes)]
    for (let index = 0; index < BATCH; index++) {
      const header = index * MMSGHDR_BYTES
      headers.writeBigUInt64LE(sendersAt + BigInt(index * SOCKADDR_BYTES), header + NAME_AT)
      headers.writeBigUInt64LE(iovecsAt + BigInt(index * IOVEC_BYTES), header + IOVEC_AT)
      headers.writeBigUInt64LE(1n, header + IOVEC_COUNT_AT)
      iovecs.writeBigUInt64LE(bytesAt + BigInt(index * slot), index * IOVEC_BYTES)
      iovecs.writeBigUInt64LE(BigInt(slot), index * IOVEC_BYTES + 8)
    }
    return { headers, iovecs, bytes }
  }

  return {
    receive() {
      listed = 0
      const { headers } = incoming
      for (let index = 0; index < BATCH; index++)
        headers.writeUInt32LE(SOCKADDR_BYTES, index * MMSGHDR_BYTES + NAME_LENGTH_AT)
      return Math.max(0, calls.recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, null))
    },
    message(index) {
      const length = incoming.headers.readUInt32LE(index * MMSGHDR_BYTES + RECEIVED_AT)
      return incoming.bytes.subarray(index * MESSAGE_BYTES_MAX, index * MESSAGE_BYTES_MAX + length)
    },
    sender(index) {
      const at = index * SOCKADDR_BYTES
      const octets =
        senders.readUInt16LE(at) === AF_INET ? senders.subarray(at + 4, at + 8) : senders.subarray(at + 8, at + 24)
      const key = octets.toString('latin1')
      let address = texts.get(key)
      if (address === undefined) {
        if (texts.size >= SENDER_TEXTS_MAX) texts.clear()
        address = addressText(octets)
        texts.set(key, address)
      }
      return { address, port: senders.readUInt16BE(at + 2) }
    },
    room: (index) => outgoing.bytes.subarray(index * REPLY_BYTES_MAX, (index + 1) * REPLY_BYTES_MAX),
    reply(index, length) {
      // The list is dense, the rooms are where they are: each entry is pointed at its room and its sender.
      const header = listed++ * MMSGHDR_BYTES
      incoming.headers.copy(
        outgoing.headers,
        header + NAME_AT,
        index * MMSGHDR_BYTES + NAME_AT,
        index * MMSGHDR_BYTES + NAME_LENGTH_AT + 4,
      )
      outgoing.headers.writeBigUInt64LE(roomIovecs + BigInt(index * IOVEC_BYTES), header + IOVEC_AT)
      outgoing.iovecs.writeUInt32LE(length, index * IOVEC_BYTES + 8)
    },
    send() {
      if (listed > 0) calls.sendmmsg(fd, outgoing.headers, listed, MSG_DONTWAIT)
      listed = 0
    },
  }
}
