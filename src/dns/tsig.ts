import { createHmac, timingSafeEqual } from 'node:crypto'
import { concatBytes } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { CLASS, RCODE, TYPE } from './codes.ts'
import { lowerName, nameToWire, readName, skipPlainName } from './name.ts'
import { walkRecords } from './records.ts'
import { MessageView } from './view.ts'
import { putUint16, uint16, uint32 } from './wire.ts'
import { WireWriter } from './writer.ts'

/** Transaction signatures with a shared key (RFC 8945). */

export const TSIG_ALGORITHMS = {
  'hmac-sha256': 'sha256',
  'hmac-sha384': 'sha384',
  'hmac-sha512': 'sha512',
} as const
export type TsigAlgorithm = keyof typeof TSIG_ALGORITHMS

export interface TsigKey {
  readonly keyName: string
  readonly algorithm: TsigAlgorithm
  readonly secret: Uint8Array
}

export interface SignedMessage {
  readonly wire: Uint8Array
  /** The response is signed over it (RFC 8945 §5.3). */
  readonly mac: Uint8Array
}

/** Appends the signature to a request; the message must not be changed afterwards. */
export function signTsig(
  message: Uint8Array,
  options: TsigKey & { readonly timeS: number; readonly fudgeS: number },
): SignedMessage {
  const { timeS, fudgeS } = options
  const fields: TsigFields = { timeS, fudgeS, error: RCODE.NOERROR, otherData: NO_DATA }
  const mac = macOf(options, [message, variables(options, fields)])
  return { wire: withTsig(message, options, fields, mac), mac }
}

/** As signTsig, for the answer to a request whose signature was `requestMac`; used by test servers. */
export function signTsigResponse(
  message: Uint8Array,
  requestMac: Uint8Array,
  options: TsigKey & { readonly timeS: number; readonly fudgeS: number; readonly error?: number },
): SignedMessage {
  const { timeS, fudgeS, error = RCODE.NOERROR } = options
  const fields: TsigFields = { timeS, fudgeS, error, otherData: NO_DATA }
  const mac = macOf(options, [lengthAnd(requestMac), message, variables(options, fields)])
  return { wire: withTsig(message, options, fields, mac), mac }
}

/** True when the response is signed with our key, over our request, now. A truncated MAC is not accepted. */
export function verifyTsig(response: Uint8Array, requestMac: Uint8Array, key: TsigKey, nowS: number): boolean {
  const tsig = readTsig(response)
  if (!tsig || tsig.error !== RCODE.NOERROR) return false
  if (!equalNames(tsig.keyName, key.keyName) || !equalNames(tsig.algorithm, key.algorithm)) return false
  const expected = macOf(key, [lengthAnd(requestMac), unsigned(response, tsig), variables(key, tsig)])
  if (tsig.mac.length !== expected.length || !timingSafeEqual(tsig.mac, expected)) return false
  // The time is judged last: only a signed time means anything (RFC 8945 §5.2.3).
  return Math.abs(nowS - tsig.timeS) <= tsig.fudgeS
}

/** The error a server put into its TSIG record (BADKEY, BADTIME …), for messages to people; it may be unsigned. */
export function tsigError(response: Uint8Array): number | undefined {
  return readTsig(response)?.error
}

interface TsigFields {
  readonly timeS: number
  readonly fudgeS: number
  readonly error: number
  readonly otherData: Uint8Array
}

interface TsigRecord extends TsigFields {
  readonly start: number
  readonly keyName: string
  readonly algorithm: string
  readonly mac: Uint8Array
  readonly originalId: number
}

const NO_DATA = new Uint8Array(0)
/** Time signed, fudge and MAC size after the algorithm name (RFC 8945 §4.2). */
const BEFORE_MAC_BYTES = 10
/** Original id, error and length of the other data after the MAC. */
const AFTER_MAC_BYTES = 6

/** The TSIG record, which must be the last of the message (RFC 8945 §5.2). */
function readTsig(response: Uint8Array): TsigRecord | undefined {
  const view = MessageView.over(response)
  if (!view || view.messageEnd !== response.length || view.additionalCount === 0) return undefined
  const records = walkRecords(view)
  while (records.next());
  if (records.type !== TYPE.TSIG || records.class !== CLASS.ANY || records.ttl !== 0) return undefined
  const { nameStart: start, rdataStart, end } = records
  const at = skipPlainName(response, rdataStart)
  const keyName = readName(response, start)
  const algorithm = readName(response, rdataStart)
  if (at < 0 || at + BEFORE_MAC_BYTES > end || keyName === undefined || algorithm === undefined) return undefined
  const macStart = at + BEFORE_MAC_BYTES
  const macEnd = macStart + uint16(response, at + 8)
  if (macEnd + AFTER_MAC_BYTES > end || macEnd + AFTER_MAC_BYTES + uint16(response, macEnd + 4) !== end)
    return undefined
  return {
    start,
    keyName,
    algorithm,
    timeS: uint16(response, at) * 2 ** 32 + uint32(response, at + 2),
    fudgeS: uint16(response, at + 6),
    mac: response.subarray(macStart, macEnd),
    originalId: uint16(response, macEnd),
    error: uint16(response, macEnd + 2),
    otherData: response.subarray(macEnd + AFTER_MAC_BYTES, end),
  }
}

/** The message as it was before it was signed: original id, one record less (RFC 8945 §4.3.2). */
function unsigned(response: Uint8Array, tsig: TsigRecord): Uint8Array {
  const message = Uint8Array.from(response.subarray(0, tsig.start))
  putUint16(message, 0, tsig.originalId)
  putUint16(message, 10, uint16(message, 10) - 1)
  return message
}

function withTsig(message: Uint8Array, key: TsigKey, fields: TsigFields, mac: Uint8Array): Uint8Array {
  const rdata = new WireWriter()
  rdata.name(key.algorithm, 'plain')
  writeTimes(rdata, fields)
  rdata.uint16(mac.length)
  rdata.octets(mac)
  rdata.uint16(uint16(message, 0))
  rdata.uint16(fields.error)
  rdata.uint16(fields.otherData.length)
  rdata.octets(fields.otherData)

  const writer = new WireWriter()
  writer.octets(message)
  writer.patchUint16(10, uint16(message, 10) + 1)
  writer.name(key.keyName, 'plain')
  writer.uint16(TYPE.TSIG)
  writer.uint16(CLASS.ANY)
  writer.uint32(0)
  writer.uint16(rdata.length)
  writer.octets(rdata.toBytes())
  return Uint8Array.from(writer.toBytes())
}

/** What is signed beside the message; names in lower case, uncompressed (RFC 8945 §4.3.3). */
function variables(key: TsigKey, fields: TsigFields): Uint8Array {
  const writer = new WireWriter()
  writer.octets(canonical(key.keyName))
  writer.uint16(CLASS.ANY)
  writer.uint32(0)
  writer.octets(canonical(key.algorithm))
  writeTimes(writer, fields)
  writer.uint16(fields.error)
  writer.uint16(fields.otherData.length)
  writer.octets(fields.otherData)
  return writer.toBytes()
}

function writeTimes(writer: WireWriter, fields: TsigFields): void {
  writer.uint16(Math.floor(fields.timeS / 2 ** 32))
  writer.uint32(fields.timeS % 2 ** 32)
  writer.uint16(fields.fudgeS)
}

function macOf(key: TsigKey, parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac(TSIG_ALGORITHMS[key.algorithm], key.secret)
  for (const part of parts) hmac.update(part)
  return hmac.digest()
}

function lengthAnd(mac: Uint8Array): Uint8Array {
  const length = new Uint8Array(2)
  putUint16(length, 0, mac.length)
  return concatBytes([length, mac])
}

function canonical(name: string): Uint8Array {
  const wire = nameToWire(name)
  if (!wire) throw new Fault('CONFIG_INVALID', `"${name}" is no name for a TSIG key`)
  return lowerName(wire)
}

function equalNames(a: string, b: string): boolean {
  return Buffer.compare(canonical(a), canonical(b)) === 0
}
