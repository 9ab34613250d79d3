import { Duplex } from 'node:stream'
import { FLAG, FRAME } from '../../src/net/h2/frame.ts'
import { PREFACE } from '../../src/net/h2/preface.ts'

/** HTTP/2 frames by hand, right and wrong ones: what a test sends, and what it reads. */

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** Literals without indexing and without Huffman code (RFC 7541 §6.2.2). */
export function block(...fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), string(name), string(value)]))
}

/** A string literal as it is (RFC 7541 §5.2). */
export function string(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  return Buffer.concat([integer(0, 7, bytes.length), bytes])
}

/** RFC 7541 §5.1. */
export function integer(pattern: number, prefixBits: number, value: number): Buffer {
  const mask = (1 << prefixBits) - 1
  if (value < mask) return Buffer.of(pattern | value)
  const bytes = [pattern | mask]
  let left = value - mask
  for (; left >= 128; left = Math.floor(left / 128)) bytes.push(128 + (left % 128))
  bytes.push(left)
  return Buffer.from(bytes)
}

export const settings = (...entries: readonly (readonly [id: number, value: number])[]): Buffer =>
  frame(
    FRAME.SETTINGS,
    0,
    0,
    Buffer.concat(entries.flatMap(([id, value]) => [Buffer.of(id >> 8, id & 255), uint32(value)])),
  )
export const HELLO = Buffer.concat([PREFACE, settings()])

export const headers = (
  streamId: number,
  payload: Uint8Array,
  flags: number = FLAG.END_STREAM | FLAG.END_HEADERS,
): Buffer => frame(FRAME.HEADERS, flags, streamId, payload)
export const continuation = (streamId: number, payload: Uint8Array, flags: number = FLAG.END_HEADERS): Buffer =>
  frame(FRAME.CONTINUATION, flags, streamId, payload)
export const data = (streamId: number, payload: Uint8Array, flags: number = FLAG.END_STREAM): Buffer =>
  frame(FRAME.DATA, flags, streamId, payload)
export const reset = (streamId: number, code = 8): Buffer => frame(FRAME.RST_STREAM, 0, streamId, uint32(code))
export const ping = (payload = '12345678', flags = 0): Buffer => frame(FRAME.PING, flags, 0, Buffer.from(payload))
export const windowUpdate = (streamId: number, increment: number): Buffer =>
  frame(FRAME.WINDOW_UPDATE, 0, streamId, uint32(increment))
export const priority = (streamId: number, dependsOn: number): Buffer =>
  frame(FRAME.PRIORITY, 0, streamId, Buffer.concat([uint32(dependsOn), Buffer.of(15)]))

export const GET_FIELDS = [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', 'dns.test'],
  [':path', '/'],
] as const
export const POST_FIELDS = [[':method', 'POST'], ...GET_FIELDS.slice(1)] as const
export const GET = block(...GET_FIELDS)
export const POST = block(...POST_FIELDS)
export const get = (streamId: number): Buffer => headers(streamId, GET)
/** The head of a POST whose body is still to come. */
export const postHead = (streamId: number, ...more: readonly (readonly [string, string])[]): Buffer =>
  headers(streamId, block(...POST_FIELDS, ...more), FLAG.END_HEADERS)

/** Cuts what a server sent into frames. */
export function framesOf(bytes: Buffer): Frame[] {
  const frames: Frame[] = []
  for (let at = 0; at + 9 <= bytes.length; ) {
    const end = at + 9 + bytes.readUIntBE(at, 3)
    if (end > bytes.length) break
    frames.push({
      type: bytes[at + 3]!,
      flags: bytes[at + 4]!,
      streamId: bytes.readUInt32BE(at + 5),
      payload: bytes.subarray(at + 9, end),
    })
    at = end
  }
  return frames
}

/** The server's end of a connection without a network: what it writes is kept, write by write. */
export class TestSocket extends Duplex {
  readonly writes: Buffer[] = []
  /** Holds back the callbacks of writes, as a client that does not read does. */
  stuck = false
  #held: (() => void)[] = []

  constructor(highWaterMark = 65_536) {
    super({ highWaterMark, allowHalfOpen: false })
  }

  override _read(): void {}
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(chunk)
    if (this.stuck) this.#held.push(done)
    else done()
  }

  /** The client reads on. */
  unstick(): void {
    this.stuck = false
    const held = this.#held
    this.#held = []
    for (const done of held) done()
  }

  /** The frames that were written since the last call. */
  takeFrames(): Frame[] {
    return framesOf(Buffer.concat(this.writes.splice(0)))
  }
}
