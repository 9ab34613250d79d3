import { RCODE, TYPE } from '../../src/dns/codes.ts'
import { uint16 } from '../../src/dns/wire.ts'
import { randomNumbers } from '../dns/hostile.ts'

/** Seeded answers as the worst of honest servers could send them: all types, any compression, any octets. */

/** One question, and what a server says to it. Everything but the question's letter case is fixed. */
export interface OddAnswer {
  /** Name, type and class, in the letter case of the first asker. */
  readonly question: Uint8Array
  /** With DO set, so that records of DNSSEC may pass. */
  readonly dnssecOk: boolean
  /** Second half of the header: flags and rcode of the server. */
  readonly flags: number
  readonly counts: readonly [answer: number, authority: number, additional: number]
  readonly records: Uint8Array
  /** Offsets of TTLs in a whole message. */
  readonly ttlOffsets: readonly number[]
  /** Where the additional section starts in a whole message. */
  readonly additionalStart: number
  /** The server's OPT record; empty for a server without EDNS. */
  readonly opt: Uint8Array
  readonly mayBeCached: boolean
}

const HEADER_BYTES = 12
const NAME_BYTES_MAX = 255
/** Only the first 16 KiB can be pointed to (RFC 1035 §4.1.4). */
const POINTED_MAX = 0x4000
const MESSAGE_BYTES_MAX = 60_000

const DNSSEC_TYPES: readonly number[] = [TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3]
/** About messages and not about names: they mean something to whoever is between (RFC 6891, RFC 8945, RFC 2931). */
const META_TYPES: readonly number[] = [TYPE.OPT, TYPE.TSIG, TYPE.TKEY, TYPE.ANY, TYPE.AXFR, TYPE.IXFR, TYPE.SIG]
/** RFC 1035 §3.3 and its like: octets before the names, and how many names. Those may be compressed (RFC 3597 §4). */
const WITH_NAMES: Readonly<Record<number, readonly [before: number, names: number]>> = {
  [TYPE.NS]: [0, 1],
  [TYPE.CNAME]: [0, 1],
  [TYPE.PTR]: [0, 1],
  [TYPE.MX]: [2, 1],
  [TYPE.RP]: [0, 2],
  [TYPE.SRV]: [6, 1],
  [TYPE.DNAME]: [0, 1],
  3: [0, 1],
  7: [0, 1],
  14: [0, 2],
  18: [2, 1],
  26: [2, 2],
  36: [2, 1],
}
const KNOWN_TYPES: readonly number[] = [
  ...Object.values(TYPE).filter((type) => !META_TYPES.includes(type)),
  3,
  7,
  14,
  18,
  26,
  36,
]
const CLASSES = [1, 1, 1, 1, 1, 1, 4, 254, 65_280, 65_535]
const TTLS = [60, 61, 300, 3_600, 86_400, 604_800, 604_801, 0x7fff_ffff, 0x8000_0001, 0xffff_ffff]

export function oddAnswers(seed: number, count: number): OddAnswer[] {
  return Array.from({ length: count }, (_, index) => oddAnswer(randomNumbers(seed * 1_000_003 + index), index))
}

/** The whole reply under `id`, with the question as it was asked. */
export function replyOf(answer: OddAnswer, id: number, question: Uint8Array): Buffer {
  const header = Buffer.alloc(HEADER_BYTES)
  const [answers, authorities, additionals] = answer.counts
  const counts = [id, answer.flags, 1, answers, authorities, additionals + (answer.opt.length > 0 ? 1 : 0)]
  for (const [index, value] of counts.entries()) header.writeUInt16BE(value, 2 * index)
  return Buffer.concat([header, question, answer.records, answer.opt])
}

/** The same name with other capitals. */
export function recased(question: Uint8Array, next: () => number): Uint8Array {
  const copy = question.slice()
  for (let at = 0; copy[at] !== 0; ) {
    const end = at + 1 + copy[at]!
    for (at++; at < end; at++) {
      const isLetter = (copy[at]! >= 0x41 && copy[at]! <= 0x5a) || (copy[at]! >= 0x61 && copy[at]! <= 0x7a)
      if (isLetter && next() % 2 === 0) copy[at]! ^= 0x20
    }
  }
  return copy
}

function oddAnswer(next: () => number, index: number): OddAnswer {
  const isPick = (one: number, of: number): boolean => next() % of < one
  // Every known type is asked for at least once, then unknown ones.
  const type = KNOWN_TYPES[index] ?? 65_280 + (next() % 255)
  const dnssecOk = DNSSEC_TYPES.includes(type) || isPick(2, 3)
  const questionClass = index < KNOWN_TYPES.length ? 1 : CLASSES[next() % CLASSES.length]!
  const name = questionName(next, index)
  const question = Buffer.from([...name, type >> 8, type & 0xff, questionClass >> 8, questionClass & 0xff])
  const sections = new Sections(next, HEADER_BYTES + question.length, dnssecOk)
  const isDenial = isPick(1, 8)
  const isForgotten = isPick(1, 12)
  const wanted = [1, 2, 3, 8, 20, 255][next() % 6]!
  const answers = isDenial ? 0 : sections.add(wanted, type, isForgotten ? 0 : undefined)
  const authorities = isDenial ? sections.add(1, TYPE.SOA) : isPick(1, 2) ? sections.add(1 + (next() % 4)) : 0
  const additionalStart = sections.end
  const additionals = isPick(1, 2) ? sections.add(1 + (next() % 5)) : 0
  // AA, RD, RA, Z, AD and CD as it pleases; never TC, which says that the rest is elsewhere.
  const rcode = isDenial && isPick(1, 2) ? RCODE.NXDOMAIN : RCODE.NOERROR
  return {
    question,
    dnssecOk,
    flags: 0x8000 | (next() & 0x05f0) | rcode,
    counts: [answers, authorities, additionals],
    records: Buffer.concat(sections.parts),
    ttlOffsets: sections.ttlOffsets,
    additionalStart,
    opt: isPick(3, 4) ? oddOpt(next) : new Uint8Array(0),
    mayBeCached: !isForgotten || isDenial,
  }
}

/** Under `example`, or as long as a name can be, with any octets; unlike any other. */
function questionName(next: () => number, index: number): number[] {
  const tail = [...label(`N${index}x`), ...label('ExamplE'), 0]
  const labels: number[] = []
  const room = NAME_BYTES_MAX - tail.length
  if (index % 5 === 0) {
    while (room - labels.length > 1) {
      const length = Math.min(63, room - labels.length - 1)
      labels.push(length, ...Array.from({ length }, () => next() & 0xff))
    }
  } else if (index % 5 < 3) labels.push(...label('wWw'), ...label('*'))
  return [...labels, ...tail]
}

const label = (text: string): number[] => [text.length, ...Buffer.from(text, 'latin1')]

/** RFC 6891 §6.1.2, with options nobody knows, twice the same, and empty. */
function oddOpt(next: () => number): Uint8Array {
  const options = Array.from({ length: next() % 5 }, () => {
    const code = [3, 15, 65_001, 65_001, 26_946, 10][next() % 6]!
    const data = Buffer.from(Array.from({ length: code === 15 ? 2 + (next() % 9) : next() % 40 }, () => next() & 0x7f))
    if (code === 15) data[0] = 0
    return Buffer.concat([uint16Octets(code), uint16Octets(data.length), data])
  })
  const data = Buffer.concat(options)
  return Buffer.concat([
    Buffer.of(0, 0, 41),
    uint16Octets(4096),
    Buffer.of(0, 0, next() & 0x80, 0x21),
    uint16Octets(data.length),
    data,
  ])
}

const uint16Octets = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff)

class Sections {
  readonly parts: Buffer[] = []
  readonly ttlOffsets: number[] = []
  end: number
  readonly #next: () => number
  readonly #dnssecOk: boolean
  /** Where names start that can be pointed to; the question's is the first. */
  readonly #names: number[] = [HEADER_BYTES]

  constructor(next: () => number, start: number, dnssecOk: boolean) {
    this.#next = next
    this.end = start
    this.#dnssecOk = dnssecOk
  }

  /** Up to `count` records, as long as there is room; `type` for the first one, any for the others. */
  add(count: number, type?: number, ttl?: number): number {
    let added = 0
    for (; added < count && this.end < MESSAGE_BYTES_MAX - 2_000; added++)
      this.#addRecord(added === 0 && type !== undefined ? type : this.#anyType(), ttl)
    return added
  }

  #anyType(): number {
    const next = this.#next
    for (;;) {
      const type = next() % 3 === 0 ? 65_280 + (next() % 255) : KNOWN_TYPES[next() % KNOWN_TYPES.length]!
      if (this.#dnssecOk || !DNSSEC_TYPES.includes(type)) return type
    }
  }

  #addRecord(type: number, ttl = TTLS[this.#next() % TTLS.length]!): void {
    this.#put(this.#name())
    const fixed = Buffer.alloc(10)
    fixed.writeUInt16BE(type, 0)
    fixed.writeUInt16BE(CLASSES[this.#next() % CLASSES.length]!, 2)
    fixed.writeUInt32BE(ttl, 4)
    this.ttlOffsets.push(this.end + 4)
    this.#put(fixed)
    const start = this.end
    this.#putData(type)
    fixed.writeUInt16BE(this.end - start, 8)
  }

  #putData(type: number): void {
    const next = this.#next
    const octets = (length: number): Buffer => Buffer.from(Array.from({ length }, () => next() & 0xff))
    const names = WITH_NAMES[type]
    if (type === TYPE.A) return this.#put(Buffer.of(93, 184, next() & 0xff, next() & 0xff))
    if (type === TYPE.AAAA) return this.#put(Buffer.concat([Buffer.of(0x2a, 0), octets(14)]))
    if (type === TYPE.SVCB || type === TYPE.HTTPS) return this.#put(serviceData(octets))
    if (type === TYPE.SOA) {
      for (let count = 0; count < 2; count++) this.#put(this.#name())
      return this.#put(Buffer.concat([octets(16), Buffer.of(0, 0, 1, next() & 0xff)]))
    }
    if (names) {
      this.#put(octets(names[0]))
      for (let count = 0; count < names[1]; count++) this.#put(this.#name())
      return
    }
    // Octets that look like pointers, into the message and out of it, have to stay what they are.
    const kind = next() % 4
    if (kind === 0) return
    if (kind === 1) return this.#put(Buffer.of(0xc0, 0x0c, 0xc0, next() & 0xff, 0xff, 0xff))
    this.#put(octets(next() % (kind === 2 ? 16 : 1_200)))
  }

  /** Whole, ended by a pointer, or a pointer alone; as long as a name can be, too. */
  #name(): Buffer {
    const next = this.#next
    const pointed = this.#names[next() % this.#names.length]!
    const pointer = Buffer.of(0xc0 | (pointed >> 8), pointed & 0xff)
    const kind = next() % 6
    if (kind < 2) return pointer
    if (kind === 2) return Buffer.of(0)
    const isPointed = this.end < POINTED_MAX && next() % 2 === 0
    if (kind === 3) {
      const lengths = [63, 63, 63, 61]
      const whole = lengths.flatMap((length) => [length, ...Array.from({ length }, () => next() & 0xff)])
      return Buffer.from([...whole, 0])
    }
    const length = 1 + (next() % 20)
    const head = Buffer.from([length, ...Array.from({ length }, () => next() & 0xff)])
    if (kind === 4) return Buffer.concat([head, Buffer.from('\x03CoM\0', 'latin1')])
    // Names that end in the question's stay short enough: ours may be of any length, so only what is short is led to.
    if (isPointed && this.#names.length < 4) this.#names.push(this.end)
    return Buffer.concat([head, Buffer.from([4, ...Buffer.from('neXt'), 0])])
  }

  #put(octets: Buffer): void {
    this.parts.push(octets)
    this.end += octets.length
  }
}

/** Priority, target, alpn, a public hint, and a key nobody knows (RFC 9460 §2.2). */
function serviceData(octets: (length: number) => Buffer): Buffer {
  const value = octets(12)
  return Buffer.concat([
    Buffer.of(0, 1, 3, 0x53, 0x76, 0x63, 0),
    Buffer.of(0, 1, 0, 3, 2, 0x68, 0x32),
    Buffer.of(0, 4, 0, 4, 93, 184, 216, 34),
    Buffer.of(0xfd, 0xe8, 0, value.length),
    value,
  ])
}

/** Where the question of a query ends. */
export function questionOf(query: Uint8Array): Uint8Array {
  let at = HEADER_BYTES
  while (query[at] !== 0) at += 1 + query[at]!
  return query.subarray(HEADER_BYTES, at + 5)
}

/** What identifies a question whatever its letter case. */
export function questionKey(question: Uint8Array): string {
  const copy = question.slice()
  for (let at = 0; copy[at] !== 0; ) {
    const end = at + 1 + copy[at]!
    for (at++; at < end; at++) if (copy[at]! >= 0x41 && copy[at]! <= 0x5a) copy[at]! |= 0x20
  }
  return `${Buffer.from(copy).toString('latin1')} ${uint16(question, question.length - 4)}`
}
