import { createHash } from 'node:crypto'
import { concatBytes, equalBytes } from '../../../core/bytes.ts'
import { type PreparedAnswer, prepareAnswer } from '../../../dns/answer.ts'

/**
 * The cache as octets, for one file: magic with a version, the wall clock's time, a digest of the settings that made the
 * answers, the answers, and a SHA-256 over all of it. Each answer has a length before it: age in seconds, DO and CD, the
 * lengths of scope and upstream, these two as text, the message.
 * All numbers are big-endian.
 */

/** The last character is the version of the form: another one is read as damaged. */
const MAGIC = Buffer.from('HEARTHC1')
const DIGEST_BYTES = 32
const HEADER_BYTES = MAGIC.length + 8 + DIGEST_BYTES
const LENGTH_BYTES = 4
const FIXED_BYTES = 4 + 1 + 1 + 1
/** Of a text's UTF-8; an answer with a longer one is left out. */
const TEXT_BYTES_MAX = 255

export interface SavedAnswer {
  /** When the snapshot was taken. */
  readonly ageS: number
  /** DO is 1, CD is 2. */
  readonly bits: number
  readonly scope: string
  readonly from: string
  readonly message: Uint8Array
}

export interface Snapshot {
  readonly savedAtMs: number
  /** SHA-256 of the settings the answers were got with. */
  readonly settings: Uint8Array
  readonly answers: readonly (SavedAnswer & { readonly prepared: PreparedAnswer })[]
}

/** Takes answers in their order until the next one would exceed `bytesMax`. */
export function buildSnapshot(
  answers: Iterable<SavedAnswer>,
  { savedAtMs, settings, bytesMax }: Pick<Snapshot, 'savedAtMs' | 'settings'> & { readonly bytesMax: number },
): Uint8Array {
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.writeDoubleBE(savedAtMs, MAGIC.length)
  header.set(settings, MAGIC.length + 8)
  const parts: Uint8Array[] = [header]
  let bytes = HEADER_BYTES + DIGEST_BYTES
  for (const answer of answers) {
    const record = recordOf(answer)
    if (!record) continue
    bytes += record.length
    if (bytes > bytesMax) break
    parts.push(record)
  }
  const body = concatBytes(parts)
  return concatBytes([body, digestOf(body)])
}

/** Undefined when the octets are not what `buildSnapshot` made. An answer that is no message is passed over. */
export function parseSnapshot(octets: Uint8Array): Snapshot | undefined {
  const end = octets.length - DIGEST_BYTES
  if (end < HEADER_BYTES || !equalBytes(octets.subarray(0, MAGIC.length), MAGIC)) return undefined
  if (!equalBytes(digestOf(octets.subarray(0, end)), octets.subarray(end))) return undefined
  const buffer = Buffer.from(octets.buffer, octets.byteOffset, end)
  const savedAtMs = buffer.readDoubleBE(MAGIC.length)
  if (!Number.isFinite(savedAtMs)) return undefined
  const answers: Snapshot['answers'][number][] = []
  // Each turn takes at least the length of a record, so the file bounds them.
  for (let at = HEADER_BYTES; at < end; ) {
    if (at + LENGTH_BYTES > end) return undefined
    const recordEnd = at + LENGTH_BYTES + buffer.readUInt32BE(at)
    if (recordEnd > end) return undefined
    const answer = parseRecord(buffer.subarray(at + LENGTH_BYTES, recordEnd))
    // Ours since it was checked by an upstream's connection; AD was believed or cleared then.
    const prepared = answer && prepareAnswer(answer.message, 'authenticated')
    if (prepared) answers.push({ ...answer, prepared })
    at = recordEnd
  }
  return { savedAtMs, settings: octets.subarray(MAGIC.length + 8, HEADER_BYTES), answers }
}

function recordOf({ ageS, bits, scope, from, message }: SavedAnswer): Uint8Array | undefined {
  const [scopeOctets, fromOctets] = [Buffer.from(scope), Buffer.from(from)]
  if (scopeOctets.length > TEXT_BYTES_MAX || fromOctets.length > TEXT_BYTES_MAX) return undefined
  const fixed = Buffer.alloc(LENGTH_BYTES + FIXED_BYTES)
  fixed.writeUInt32BE(FIXED_BYTES + scopeOctets.length + fromOctets.length + message.length, 0)
  fixed.writeUInt32BE(ageS, LENGTH_BYTES)
  fixed[LENGTH_BYTES + 4] = bits
  fixed[LENGTH_BYTES + 5] = scopeOctets.length
  fixed[LENGTH_BYTES + 6] = fromOctets.length
  return concatBytes([fixed, scopeOctets, fromOctets, message])
}

function parseRecord(octets: Buffer): SavedAnswer | undefined {
  if (octets.length < FIXED_BYTES) return undefined
  const scopeEnd = FIXED_BYTES + octets[5]!
  const fromEnd = scopeEnd + octets[6]!
  if (fromEnd > octets.length) return undefined
  return {
    ageS: octets.readUInt32BE(0),
    bits: octets[4]! & 3,
    scope: octets.toString('utf8', FIXED_BYTES, scopeEnd),
    from: octets.toString('utf8', scopeEnd, fromEnd),
    message: octets.subarray(fromEnd),
  }
}

function digestOf(octets: Uint8Array): Uint8Array {
  return createHash('sha256').update(octets).digest()
}
