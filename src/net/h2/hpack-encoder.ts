import { STATIC_NAME_INDEX } from './static-table.ts'

/** What a handler answers. */
export interface Reply {
  readonly status: number
  /** Lower-case names. content-length and date are not among them. */
  readonly headers: Readonly<Record<string, string>>
  /** Read before the handler is called again, so it may be a view of a buffer that is used again. */
  readonly body: Uint8Array
}

/** RFC 7541 appendix A. */
const STATUS_INDEX: Readonly<Record<number, number>> = { 200: 8, 204: 9, 206: 10, 304: 11, 400: 12, 404: 13, 500: 14 }
const STATUS_NAME = 8
const CONTENT_LENGTH_NAME = 28
const DATE_NAME = 33
const INDEXED = 0x80
/** A literal without indexing: four bits of index (RFC 7541 §6.2.2). */
const NAME_INDEX_BITS = 0x0f
const STRING_LENGTH_BITS = 0x7f

/** What the header block of a reply takes at most, for the caller to make room. */
export function headerBytesMax({ headers }: Reply): number {
  let bytes = 128
  for (const name in headers) bytes += name.length + headers[name]!.length + 16
  return bytes
}

/**
 * Writes the header block of a reply and returns the offset behind it. Only the static table and literals that are not
 * indexed, so there is no state a client could make us keep.
 */
export function writeHeaderBlock(target: Uint8Array, start: number, reply: Reply, date: string): number {
  const { status, headers, body } = reply
  let at = start
  const index = STATUS_INDEX[status]
  if (index !== undefined) target[at++] = INDEXED | index
  else at = writeValue(target, writeInteger(target, at, 0, NAME_INDEX_BITS, STATUS_NAME), String(status))
  for (const name in headers) at = writeValue(target, writeName(target, at, name), headers[name]!)
  at = writeInteger(target, at, 0, NAME_INDEX_BITS, CONTENT_LENGTH_NAME)
  at = writeValue(target, at, String(body.length))
  at = writeInteger(target, at, 0, NAME_INDEX_BITS, DATE_NAME)
  return writeValue(target, at, date)
}

/** Our side keeps no table. A client that allows less than the default has to be told so once (RFC 7541 §4.2). */
export const NO_TABLE_UPDATE = 0x20

function writeName(target: Uint8Array, start: number, name: string): number {
  const index = STATIC_NAME_INDEX.get(name)
  if (index !== undefined) return writeInteger(target, start, 0, NAME_INDEX_BITS, index)
  target[start] = 0
  return writeValue(target, start + 1, name)
}

/** As it is: the Huffman code would save an octet in four, and cost more than it saves. */
function writeValue(target: Uint8Array, start: number, text: string): number {
  let at = writeInteger(target, start, 0, STRING_LENGTH_BITS, text.length)
  for (let index = 0; index < text.length; index++) target[at++] = text.charCodeAt(index)
  return at
}

/** RFC 7541 §5.1; `mask` has the bits of the prefix. */
function writeInteger(target: Uint8Array, start: number, pattern: number, mask: number, value: number): number {
  let at = start
  if (value < mask) {
    target[at++] = pattern | value
    return at
  }
  target[at++] = pattern | mask
  let left = value - mask
  for (; left >= 0x80; left >>>= 7) target[at++] = 0x80 | (left & 0x7f)
  target[at++] = left
  return at
}
