import { EDNS_OPTION, TYPE } from './codes.ts'
import { MESSAGE_BYTES_MAX, putUint16, uint16 } from './wire.ts'

/** The OPT record of a message (RFC 6891 §6.1), read in place. */
export interface EdnsView {
  readonly wire: Uint8Array
  /** What the sender can take by UDP; never below 512 (RFC 6891 §6.2.3). */
  readonly udpSize: number
  /** The upper eight bits of a twelve-bit rcode (RFC 6891 §6.1.3). */
  readonly extendedRcode: number
  readonly version: number
  readonly flags: number
  readonly dnssecOk: boolean
  readonly optionsOffset: number
  readonly optionsEnd: number
}

export interface EdnsOption {
  readonly code: number
  readonly data: Uint8Array
}

/** RFC 8914 §2. */
export interface ExtendedError {
  readonly code: number
  readonly text?: string
}

/** What our own OPT record says. */
export interface OptFields {
  readonly udpSize: number
  /** The upper eight bits of the rcode: 1 for BADVERS. */
  readonly extendedRcode?: number
  readonly dnssecOk?: boolean
  readonly options?: readonly EdnsOption[]
  readonly extendedErrors?: readonly ExtendedError[]
  /** Makes the whole message a multiple of this; only on encrypted transports (RFC 8467 §4.1). */
  readonly padTo?: number
}

/** RFC 8467 §4.1. */
export const QUERY_PADDING_BLOCK = 128
export const RESPONSE_PADDING_BLOCK = 468

export const UDP_SIZE_MIN = 512
export const DNSSEC_OK = 0x8000
/** Owner, type, class, TTL, RDLENGTH of an OPT record. */
const OPT_FIXED_BYTES = 11
const OPTION_HEADER_BYTES = 4
/** More extended errors in one message are noise; none we know sends over three. */
const EXTENDED_ERRORS_MAX = 8
/** RFC 8914 §3 wants the text short: it shares the packet with the answer. */
const EXTENDED_ERROR_TEXT_BYTES_MAX = 128

/** The OPT record that starts at `start`; undefined when it is none or its options do not fit its length. */
export function readEdns(wire: Uint8Array, start: number): EdnsView | undefined {
  if (!isOptAt(wire, start)) return undefined
  const optionsOffset = start + OPT_FIXED_BYTES
  const flags = uint16(wire, start + 7)
  return {
    wire,
    udpSize: Math.max(uint16(wire, start + 3), UDP_SIZE_MIN),
    extendedRcode: wire[start + 5]!,
    version: wire[start + 6]!,
    flags,
    dnssecOk: (flags & DNSSEC_OK) !== 0,
    optionsOffset,
    optionsEnd: optionsOffset + uint16(wire, start + 9),
  }
}

/** True for a whole, well-formed OPT record: root owner (RFC 6891 §6.1.2), options that fill it exactly. */
export function isOptAt(wire: Uint8Array, start: number): boolean {
  const optionsOffset = start + OPT_FIXED_BYTES
  if (optionsOffset > wire.length || wire[start] !== 0 || uint16(wire, start + 1) !== TYPE.OPT) return false
  const end = optionsOffset + uint16(wire, start + 9)
  if (end > wire.length) return false
  let at = optionsOffset
  // Each option takes at least four octets, so the loop is bounded by the record.
  while (at + OPTION_HEADER_BYTES <= end) at += OPTION_HEADER_BYTES + uint16(wire, at + 2)
  return at === end
}

/** Data of the first option with this code, in place. */
export function findOption(edns: EdnsView, code: number): Uint8Array | undefined {
  const { wire, optionsEnd } = edns
  for (let at = edns.optionsOffset; at < optionsEnd; at += OPTION_HEADER_BYTES + uint16(wire, at + 2)) {
    if (uint16(wire, at) === code) return wire.subarray(at + 4, at + 4 + uint16(wire, at + 2))
  }
  return undefined
}

/** As findOption, without making a view of the data. */
export function hasOption(edns: EdnsView, code: number): boolean {
  return optionLength(edns, code) >= 0
}

/** Octets of data of the first option with this code; -1 without one. */
export function optionLength(edns: EdnsView, code: number): number {
  const { wire, optionsEnd } = edns
  for (let at = edns.optionsOffset; at < optionsEnd; at += OPTION_HEADER_BYTES + uint16(wire, at + 2)) {
    if (uint16(wire, at) === code) return uint16(wire, at + 2)
  }
  return -1
}

/** Every option, in order, in place. */
export function* ednsOptions(edns: EdnsView): Generator<EdnsOption> {
  const { wire, optionsEnd } = edns
  for (let at = edns.optionsOffset; at < optionsEnd; at += OPTION_HEADER_BYTES + uint16(wire, at + 2)) {
    yield { code: uint16(wire, at), data: wire.subarray(at + 4, at + 4 + uint16(wire, at + 2)) }
  }
}

/** The extended errors of a response. A too short one is passed over: the errors only explain (RFC 8914 §3). */
export function readExtendedErrors(edns: EdnsView): ExtendedError[] {
  const errors: ExtendedError[] = []
  for (const { code, data } of ednsOptions(edns)) {
    if (code !== EDNS_OPTION.EXTENDED_ERROR || data.length < 2) continue
    if (errors.length === EXTENDED_ERRORS_MAX) break
    errors.push(parseExtendedError(data))
  }
  return errors
}

/** The text is not terminated, but some senders end it with NUL all the same (RFC 8914 §2). */
export function parseExtendedError(data: Uint8Array): ExtendedError {
  const text = Buffer.from(data.subarray(2, 2 + EXTENDED_ERROR_TEXT_BYTES_MAX))
    .toString('utf8')
    .replace(/\0+$/, '')
  return text === '' ? { code: uint16(data, 0) } : { code: uint16(data, 0), text }
}

/** INFO-CODE and UTF-8 text (RFC 8914 §2); a text too long is cut between characters. */
export function extendedErrorOption(error: ExtendedError): EdnsOption {
  const data = new Uint8Array(2 + EXTENDED_ERROR_TEXT_BYTES_MAX)
  putUint16(data, 0, error.code)
  const { written } = new TextEncoder().encodeInto(error.text ?? '', data.subarray(2))
  return { code: EDNS_OPTION.EXTENDED_ERROR, data: data.subarray(0, 2 + written) }
}

/** A server's idle time, in units of 100 ms (RFC 7828 §3.1). Only over TCP and TLS; a client sends an empty option. */
export function keepaliveOption(timeoutMs: number): EdnsOption {
  const data = new Uint8Array(2)
  putUint16(data, 0, Math.min(Math.max(0, Math.round(timeoutMs / 100)), 0xffff))
  return { code: EDNS_OPTION.TCP_KEEPALIVE, data }
}

/** What a server announced; undefined when the option has not exactly two octets. */
export function keepaliveMs(data: Uint8Array): number | undefined {
  return data.length === 2 ? uint16(data, 0) * 100 : undefined
}

/** Asks upstreams not to add a client subnet of their own (RFC 7871 §7.1.2): family 1, source prefix length 0. */
export const CLIENT_SUBNET_OPT_OUT: EdnsOption = {
  code: EDNS_OPTION.CLIENT_SUBNET,
  data: Uint8Array.of(0, 1, 0, 0),
}

/**
 * Writes our OPT record at `at`, the end of a message that starts at `messageStart`; returns the offset after it.
 * The caller counts it in ARCOUNT. Padding is the last option and counts everything before it (RFC 8467 §4.1).
 */
export function writeOpt(target: Uint8Array, at: number, fields: OptFields, messageStart = 0): number {
  if (at + OPT_FIXED_BYTES > target.length) throw new RangeError('no room for an OPT record')
  target[at] = 0
  putUint16(target, at + 1, TYPE.OPT)
  putUint16(target, at + 3, fields.udpSize)
  target[at + 5] = fields.extendedRcode ?? 0
  target[at + 6] = 0
  putUint16(target, at + 7, fields.dnssecOk === true ? DNSSEC_OK : 0)
  let end = at + OPT_FIXED_BYTES
  if (fields.options) for (const option of fields.options) end = writeOption(target, end, option.code, option.data)
  if (fields.extendedErrors) {
    for (const error of fields.extendedErrors) {
      end = writeOption(target, end, EDNS_OPTION.EXTENDED_ERROR, extendedErrorOption(error).data)
    }
  }
  if (fields.padTo !== undefined) end = writePadding(target, end, fields.padTo, end - messageStart)
  putUint16(target, at + 9, end - at - OPT_FIXED_BYTES)
  return end
}

/** As writeOpt, and counts the record in the ARCOUNT of the message at `messageStart`. */
export function appendOpt(target: Uint8Array, messageStart: number, end: number, fields: OptFields): number {
  putUint16(target, messageStart + 10, uint16(target, messageStart + 10) + 1)
  return writeOpt(target, end, fields, messageStart)
}

/** One OPT record on its own; `messageLength` is the length of the message before it, for padding. */
export function buildOpt(fields: OptFields & { readonly messageLength?: number }): Uint8Array {
  const messageLength = fields.messageLength ?? 0
  const target = new Uint8Array(messageLength + optBytes(fields, messageLength))
  return target.subarray(messageLength, writeOpt(target, messageLength, fields))
}

/** How many octets writeOpt will take after a message of `messageLength` octets. */
export function optBytes(fields: OptFields, messageLength: number): number {
  let length = OPT_FIXED_BYTES
  for (const option of fields.options ?? []) length += OPTION_HEADER_BYTES + option.data.length
  for (const error of fields.extendedErrors ?? [])
    length += OPTION_HEADER_BYTES + extendedErrorOption(error).data.length
  return fields.padTo === undefined ? length : length + paddingBytes(messageLength + length, fields.padTo)
}

/** Octets of the padding option, its header included, for a message of `length` octets without it. */
export function paddingBytes(length: number, block: number): number {
  const padded = Math.ceil((length + OPTION_HEADER_BYTES) / block) * block
  // Near the largest message the padding is cut short, or left out when not even its header fits.
  return length + OPTION_HEADER_BYTES > MESSAGE_BYTES_MAX ? 0 : Math.min(padded, MESSAGE_BYTES_MAX) - length
}

function writePadding(target: Uint8Array, at: number, block: number, length: number): number {
  const bytes = paddingBytes(length, block)
  if (bytes === 0) return at
  if (at + bytes > target.length) throw new RangeError('no room for the padding option')
  putUint16(target, at, EDNS_OPTION.PADDING)
  putUint16(target, at + 2, bytes - OPTION_HEADER_BYTES)
  target.fill(0, at + OPTION_HEADER_BYTES, at + bytes)
  return at + bytes
}

function writeOption(target: Uint8Array, at: number, code: number, data: Uint8Array): number {
  if (at + OPTION_HEADER_BYTES + data.length > target.length) throw new RangeError('no room for an EDNS option')
  putUint16(target, at, code)
  putUint16(target, at + 2, data.length)
  target.set(data, at + OPTION_HEADER_BYTES)
  return at + OPTION_HEADER_BYTES + data.length
}
