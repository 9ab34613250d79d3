import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { concatBytes } from '../../src/core/bytes.ts'
import { CLASS, RCODE, TYPE } from '../../src/dns/codes.ts'
import { type Dnskey, parseDnskey } from '../../src/dns/dnssec/dnskey.ts'
import { dsOf } from '../../src/dns/dnssec/ds.ts'
import {
  ancestorOf,
  type CanonicalName,
  canonicalName,
  compareNames,
  isAtOrUnder,
  isUnder,
  labelCount,
  labelsOf,
  nameText,
  octetsOf,
  parentOf,
  wildcardUnder,
} from '../../src/dns/dnssec/name.ts'
import { nsec3Hash } from '../../src/dns/dnssec/nsec3.ts'
import { inCanonicalOrder, signedData, signedLabels } from '../../src/dns/dnssec/rrset.ts'
import { buildMessage, type RecordData, type ResourceRecord } from '../../src/dns/message.ts'
import { writeRdata } from '../../src/dns/rdata.ts'
import { MessageView } from '../../src/dns/view.ts'
import { putUint16, putUint32 } from '../../src/dns/wire.ts'
import { WireWriter } from '../../src/dns/writer.ts'

/** Zones that sign themselves, and a world of them that answers as a recursive resolver asked with DO and CD would. */

export interface ZoneOptions {
  readonly algorithm?: 8 | 10 | 13 | 14 | 15
  readonly denial?: 'nsec' | 'nsec3' | 'opt-out'
  readonly iterations?: number
  readonly inceptionS?: number
  readonly expirationS?: number
  /** False: an ordinary zone without keys. */
  readonly signed?: boolean
  readonly ttlS?: number
}

export interface TestKey {
  readonly dnskey: Dnskey
  readonly privateKey: KeyObject
}

interface ZoneSet {
  readonly name: CanonicalName
  readonly type: number
  readonly rdatas: Uint8Array[]
}

export const TEST_NOW_S = Math.floor(Date.UTC(2026, 10, 24) / 1000)
const SALT = Uint8Array.of(0xaa, 0xbb)

export class TestZone {
  readonly name: CanonicalName
  readonly options: ZoneOptions
  readonly keys: TestKey[] = []
  readonly #sets = new Map<string, ZoneSet>()

  constructor(name: string, options: ZoneOptions = {}) {
    this.name = canonicalName(name)!
    this.options = options
    const below = name === '.' ? '' : `.${name}`
    const soa = {
      primary: `ns${below}`,
      mailbox: `nobody${below}`,
      serial: 1,
      refresh: 1,
      retry: 1,
      expire: 1,
      minimum: 60,
    }
    this.add(name, TYPE.SOA, soa)
    this.add(name, TYPE.NS, { host: `ns${below}` })
    if (options.signed !== false) this.addKey(makeKey(options.algorithm ?? 13))
  }

  get isSigned(): boolean {
    return this.keys.length > 0
  }
  get ttlS(): number {
    return this.options.ttlS ?? 300
  }

  add(name: string, type: number, data: RecordData): this {
    const owner = canonicalName(name)!
    const writer = new WireWriter()
    writer.learning = false
    writeRdata(writer, type, data)
    const key = `${type} ${owner}`
    const set = this.#sets.get(key) ?? { name: owner, type, rdatas: [] }
    set.rdatas.push(Uint8Array.from(writer.toBytes()))
    this.#sets.set(key, set)
    return this
  }
  remove(name: string, type: number): void {
    this.#sets.delete(`${type} ${canonicalName(name)!}`)
  }
  addKey(key: TestKey): void {
    this.keys.push(key)
    this.add(nameText(this.name), TYPE.DNSKEY, key.dnskey.rdata)
  }

  /** A cut, with DS when the child is signed. */
  delegate(child: TestZone, ds: 'ds' | 'no-ds' = child.isSigned ? 'ds' : 'no-ds'): this {
    this.add(nameText(child.name), TYPE.NS, { host: `ns.${nameText(child.name)}` })
    if (ds === 'ds') this.add(nameText(child.name), TYPE.DS, child.dsRdata())
    return this
  }

  dsRdata(digestType = 2): Uint8Array {
    const ds = dsOf(this.name, this.keys[0]!.dnskey)
    const rdata = new Uint8Array(4 + ds.digest.length)
    putUint16(rdata, 0, ds.keyTag)
    rdata.set([ds.algorithm, digestType], 2)
    rdata.set(ds.digest, 4)
    return rdata
  }
  /** For `dnssec.trust-anchors`. */
  anchorLine(): string {
    const rdata = this.dsRdata()
    return `${nameText(this.name)} DS ${(rdata[0]! << 8) | rdata[1]!} ${rdata[2]} 2 ${Buffer.from(rdata.subarray(4)).toString('hex')}`
  }

  find(name: CanonicalName, type: number): ZoneSet | undefined {
    if (type === TYPE.NSEC && this.isSigned && (this.options.denial ?? 'nsec') === 'nsec') {
      const nsec = this.#nsec(name)
      return nsec.name === name ? nsec : undefined
    }
    return this.#sets.get(`${type} ${name}`)
  }
  /** All sets at the name, for ANY. */
  at(name: CanonicalName): ZoneSet[] {
    return [...this.#sets.values()].filter((set) => set.name === name)
  }
  exists(name: CanonicalName): boolean {
    return [...this.#sets.values()].some((set) => isAtOrUnder(set.name, name))
  }

  /** The set and its signatures; `owner` when it came of a wildcard. */
  records(set: ZoneSet, owner = set.name): ResourceRecord[] {
    const data = set.rdatas.map((rdata) => record(owner, set.type, this.ttlS, rdata))
    // What lies at a cut is the child's, except DS and NSEC.
    const isAtCut = set.name !== this.name && this.find(set.name, TYPE.NS) !== undefined
    const isOurs = !isAtCut || ![TYPE.NS, TYPE.A, TYPE.AAAA].includes(set.type as never)
    return this.isSigned && isOurs ? [...data, ...this.keys.map((key) => this.#rrsig(set, owner, key))] : data
  }

  #rrsig(set: ZoneSet, owner: CanonicalName, { dnskey, privateKey }: TestKey): ResourceRecord {
    const { inceptionS = TEST_NOW_S - 3600, expirationS = TEST_NOW_S + 86_400 } = this.options
    const fixed = new Uint8Array(18)
    putUint16(fixed, 0, set.type)
    fixed.set([dnskey.algorithm, signedLabels(set.name)], 2)
    putUint32(fixed, 4, this.ttlS)
    putUint32(fixed, 8, expirationS)
    putUint32(fixed, 12, inceptionS)
    putUint16(fixed, 16, dnskey.keyTag)
    const signedPart = concatBytes([fixed, octetsOf(this.name)])
    const rdatas = inCanonicalOrder(set.rdatas)
    const data = signedData(
      { name: set.name, type: set.type, class: CLASS.IN, rdatas },
      { labels: signedLabels(set.name), originalTtlS: this.ttlS, signedPart },
    )!
    const signature = sign(HASHES[dnskey.algorithm], data, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    return record(owner, TYPE.RRSIG, this.ttlS, concatBytes([signedPart, signature]))
  }

  /** The records that show what is at `name`, and what is not. */
  denial(name: CanonicalName, kind: 'no-name' | 'no-data' | 'wildcard' | 'wildcard-no-data'): ResourceRecord[] {
    if (!this.isSigned) return []
    const encloser = this.#encloser(name)
    const wanted: [CanonicalName, 'match' | 'cover'][] =
      kind === 'no-data'
        ? [[name, 'match']]
        : kind === 'no-name'
          ? [
              [name, 'cover'],
              [wildcardUnder(encloser), 'cover'],
            ]
          : kind === 'wildcard'
            ? [[name, 'cover']]
            : [
                [name, 'cover'],
                [wildcardUnder(encloser), 'match'],
              ]
    if ((this.options.denial ?? 'nsec') === 'nsec') {
      const sets = wanted.map(([target]) => this.#nsec(target))
      return unique(sets).flatMap((set) => this.records(set))
    }
    const nextCloser = name === encloser ? name : ancestorOf(name, labelCount(encloser) + 1)
    const isHidden = kind === 'no-data' && this.#nsec3(name, 'match') === undefined
    const hashed: [CanonicalName, 'match' | 'cover'][] = isHidden
      ? [
          [this.#hashedEncloser(name), 'match'],
          [ancestorOf(name, labelCount(this.#hashedEncloser(name)) + 1), 'cover'],
        ]
      : kind === 'no-data'
        ? wanted
        : [
            ...(kind === 'wildcard' ? [] : [[encloser, 'match'] as [CanonicalName, 'match']]),
            [nextCloser, 'cover'],
            ...wanted.slice(1),
          ]
    return unique(hashed.flatMap(([target, how]) => this.#nsec3(target, how) ?? [])).flatMap((set) => this.records(set))
  }

  #encloser(name: CanonicalName): CanonicalName {
    let encloser = name
    while (!this.exists(encloser)) encloser = parentOf(encloser)
    return encloser
  }
  #hashedEncloser(name: CanonicalName): CanonicalName {
    let encloser = name
    while (this.#nsec3(encloser, 'match') === undefined) encloser = parentOf(encloser)
    return encloser
  }

  #owners(): CanonicalName[] {
    const cuts = [...this.#sets.values()].filter(({ type, name }) => type === TYPE.NS && name !== this.name)
    const owners = [...this.#sets.values()].map(({ name }) => name)
    return [...new Set(owners)].filter((name) => !cuts.some((cut) => isUnder(name, cut.name))).toSorted(compareNames)
  }
  #typesAt(name: CanonicalName): number[] {
    const types = [...this.#sets.values()].filter((set) => set.name === name).map(({ type }) => type)
    return types.length > 0 ? [...types, ...(types.every((type) => type === TYPE.NS) ? [] : [TYPE.RRSIG])] : []
  }

  #nsec(target: CanonicalName): ZoneSet {
    const owners = this.#owners()
    const at = owners.findLastIndex((owner) => compareNames(owner, target) <= 0)
    const [owner, next] = [owners[at]!, owners[(at + 1) % owners.length]!]
    const types = bitmap([...this.#typesAt(owner), TYPE.NSEC, TYPE.RRSIG])
    return { name: owner, type: TYPE.NSEC, rdatas: [concatBytes([octetsOf(next), types])] }
  }

  #nsec3(target: CanonicalName, how: 'match' | 'cover'): ZoneSet | undefined {
    const iterations = this.options.iterations ?? 0
    const isOptOut = this.options.denial === 'opt-out'
    const names = this.#owners().filter((name) => {
      const types = this.#typesAt(name)
      return !(isOptOut && name !== this.name && types.includes(TYPE.NS) && !types.includes(TYPE.DS))
    })
    const withEmpty = new Set<CanonicalName>()
    for (const name of names)
      for (let at = name; isAtOrUnder(at, this.name); at = parentOf(at)) {
        withEmpty.add(at)
        if (at === this.name) break
      }
    const ring = [...withEmpty]
      .map((name) => ({ name, hash: nsec3Hash(name, SALT, iterations) }))
      .toSorted((a, b) => (a.hash < b.hash ? -1 : 1))
    const hash = nsec3Hash(target, SALT, iterations)
    const isMatch = ring.some((entry) => entry.hash === hash)
    if (isMatch !== (how === 'match')) return undefined
    const before = ring.findLastIndex((entry) => entry.hash <= hash)
    const at = before < 0 ? ring.length - 1 : before
    const [own, next] = [ring[at]!, ring[(at + 1) % ring.length]!]
    const fixed = new Uint8Array(5)
    fixed.set([1, isOptOut ? 1 : 0])
    putUint16(fixed, 2, iterations)
    fixed[4] = SALT.length
    const rdata = concatBytes([
      fixed,
      SALT,
      Uint8Array.of(20),
      base32hexOctets(next.hash),
      bitmap(this.#typesAt(own.name)),
    ])
    return { name: String.fromCharCode(32) + own.hash + this.name, type: TYPE.NSEC3, rdatas: [rdata] }
  }
}

export interface Sections {
  rcode: number
  answers: ResourceRecord[]
  authorities: ResourceRecord[]
}

/** Answers from its zones; `change` may falsify what they say. */
export class World {
  readonly zones: readonly TestZone[]
  readonly asked: string[] = []
  change: (sections: Sections, name: string, type: number) => void = () => {}

  constructor(zones: readonly TestZone[]) {
    this.zones = zones
  }

  answer(query: Uint8Array): Uint8Array {
    const view = MessageView.over(query)!
    const { questionName: name, questionType: type } = view
    this.asked.push(`${name} ${type}`)
    const sections = this.sections(canonicalName(name)!, type)
    this.change(sections, name, type)
    return buildMessage({
      id: view.id,
      isResponse: true,
      recursionDesired: true,
      recursionAvailable: true,
      rcode: sections.rcode,
      questions: [{ name, type, class: CLASS.IN }],
      answers: sections.answers,
      authorities: sections.authorities,
      edns: { udpSize: 1232, version: 0, dnssecOk: true, options: [] },
    })
  }

  sections(first: CanonicalName, type: number): Sections {
    const sections: Sections = { rcode: RCODE.NOERROR, answers: [], authorities: [] }
    let name = first
    for (let turn = 0; turn < 8; turn++) {
      const zone = this.#zoneOf(name, type)
      const dname = ancestorsOf(name, zone.name).flatMap((at) => zone.find(at, TYPE.DNAME) ?? [])[0]
      if (dname) {
        const target = name.slice(0, -dname.name.length) + Buffer.from(dname.rdatas[0]!).toString('latin1')
        sections.answers.push(...zone.records(dname), record(name, TYPE.CNAME, zone.ttlS, octetsOf(target)))
        name = target
        continue
      }
      if (type === TYPE.ANY || type === TYPE.RRSIG) {
        const all = zone.at(name).flatMap((set) => zone.records(set))
        sections.answers.push(...all.filter((one) => type === TYPE.ANY || one.type === type))
        if (all.length > 0) return sections
      }
      const source = zone.exists(name) ? name : wildcardUnder(encloserOf(zone, name))
      const isWildcard = source !== name && zone.exists(source)
      const found = zone.find(source, type)
      const alias = zone.find(source, TYPE.CNAME)
      if (found ?? alias) {
        sections.answers.push(...zone.records((found ?? alias)!, name))
        if (isWildcard) sections.authorities.push(...zone.denial(name, 'wildcard'))
        if (found) return sections
        name = Buffer.from(alias!.rdatas[0]!).toString('latin1')
        continue
      }
      const isThere = zone.exists(name) || isWildcard
      if (!isThere) sections.rcode = RCODE.NXDOMAIN
      const kind = !isThere ? 'no-name' : isWildcard ? 'wildcard-no-data' : 'no-data'
      sections.authorities.push(...zone.records(zone.find(zone.name, TYPE.SOA)!), ...zone.denial(name, kind))
      return sections
    }
    return sections
  }

  #zoneOf(name: CanonicalName, type: number): TestZone {
    const candidates = this.zones.filter(
      (zone) => isAtOrUnder(name, zone.name) && !(type === TYPE.DS && zone.name === name && labelCount(name) > 0),
    )
    return candidates.toSorted((a, b) => labelCount(b.name) - labelCount(a.name))[0]!
  }
}

const HASHES: Readonly<Record<number, string | null>> = {
  8: 'sha256',
  10: 'sha512',
  13: 'sha256',
  14: 'sha384',
  15: null,
}

/** Making an RSA key takes a tenth of a second, so equal ones are shared. */
const rsaPairs = new Map<number, ReturnType<typeof pairOf>>()

export function makeKey(algorithm: number, flags = 257): TestKey {
  const isRsa = algorithm === 8 || algorithm === 10
  const pair = (isRsa && rsaPairs.get(algorithm)) || pairOf(algorithm)
  if (isRsa) rsaPairs.set(algorithm, pair)
  const jwk = pair.publicKey.export({ format: 'jwk' })
  const part = (text: string | undefined): Buffer => Buffer.from(text!, 'base64url')
  const octets = isRsa
    ? concatBytes([Uint8Array.of(part(jwk.e).length), part(jwk.e), part(jwk.n)])
    : jwk.y === undefined
      ? part(jwk.x)
      : concatBytes([part(jwk.x), part(jwk.y)])
  return keyWith(flags, algorithm, octets, pair.privateKey)
}

export function keyWith(flags: number, algorithm: number, octets: Uint8Array, privateKey: KeyObject): TestKey {
  const rdata = new Uint8Array(4 + octets.length)
  putUint16(rdata, 0, flags)
  rdata.set([3, algorithm], 2)
  rdata.set(octets, 4)
  return { dnskey: parseDnskey(rdata)!, privateKey }
}

/** The same key with other flags, such as the revoke bit. */
export function withFlags({ dnskey, privateKey }: TestKey, flags: number): TestKey {
  return keyWith(flags, dnskey.algorithm, dnskey.rdata.subarray(4), privateKey)
}

function pairOf(algorithm: number): { publicKey: KeyObject; privateKey: KeyObject } {
  if (algorithm === 13) return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (algorithm === 14) return generateKeyPairSync('ec', { namedCurve: 'P-384' })
  if (algorithm === 15) return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 1024 })
}

export function record(name: CanonicalName, type: number, ttl: number, data: Uint8Array): ResourceRecord {
  return { name: nameText(name), type, class: CLASS.IN, ttl, data: Uint8Array.from(data) }
}

export function bitmap(types: readonly number[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const window of [...new Set(types.map((type) => type >> 8))].toSorted((a, b) => a - b)) {
    const low = types.filter((type) => type >> 8 === window).map((type) => type & 0xff)
    const octets = new Uint8Array((Math.max(...low) >> 3) + 1)
    for (const type of low) octets[type >> 3] = octets[type >> 3]! | (0x80 >> (type & 7))
    parts.push(Uint8Array.of(window, octets.length), octets)
  }
  return concatBytes(parts)
}

function base32hexOctets(text: string): Uint8Array {
  const bits = text
    .split('')
    .map((digit) => Number.parseInt(digit, 32).toString(2).padStart(5, '0'))
    .join('')
  return Uint8Array.from({ length: bits.length / 8 }, (_, index) =>
    Number.parseInt(bits.slice(index * 8, index * 8 + 8), 2),
  )
}

function ancestorsOf(name: CanonicalName, zone: CanonicalName): CanonicalName[] {
  return labelsOf(name)
    .map((_, index, labels) => ancestorOf(name, labels.length - index - 1))
    .filter((ancestor) => isAtOrUnder(ancestor, zone))
}

function encloserOf(zone: TestZone, name: CanonicalName): CanonicalName {
  let encloser = name
  while (!zone.exists(encloser)) encloser = parentOf(encloser)
  return encloser
}

function unique(sets: readonly ZoneSet[]): ZoneSet[] {
  return [...new Map(sets.map((set) => [`${set.type} ${set.name}`, set])).values()]
}
