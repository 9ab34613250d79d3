import { describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { Budget } from '../../../src/dns/dnssec/budget.ts'
import { canonicalName } from '../../../src/dns/dnssec/name.ts'
import {
  type Nsec,
  nsecCut,
  nsecProvesExpansion,
  nsecProvesNoData,
  nsecProvesNoName,
} from '../../../src/dns/dnssec/nsec.ts'
import { base32hex, Nsec3Chain, nsec3Hash } from '../../../src/dns/dnssec/nsec3.ts'
import { hasType, isTypeBitmap } from '../../../src/dns/dnssec/type-bitmap.ts'
import { bitmap } from '../../support/signed-zone.ts'

const name = (text: string): string => canonicalName(text)!
const nsec = (owner: string, next: string, ...types: number[]): Nsec => ({
  owner: name(owner),
  next: name(next),
  types: bitmap(types),
})

describe('type bitmaps', () => {
  it('the example of RFC 4034 §4.3', () => {
    const octets = Uint8Array.from(Buffer.from(`0006400100000003041b${'00'.repeat(26)}20`, 'hex'))
    expect(isTypeBitmap(octets)).toBe(true)
    const types = [TYPE.A, TYPE.MX, TYPE.RRSIG, TYPE.NSEC, 1234]
    expect(types.every((type) => hasType(octets, type))).toBe(true)
    expect([TYPE.NS, TYPE.AAAA, 1233, 1235, 4660, 65535].some((type) => hasType(octets, type))).toBe(false)
    expect(bitmap(types)).toEqual(octets)
  })
  it.each([
    ['a window of no octets', '0000'],
    ['a window of 33 octets', `0021${'00'.repeat(33)}`],
    ['windows out of order', '010101000101'],
    ['a window cut short', '000240'],
    ['one octet', '00'],
  ])('%s is none', (_, hex) => {
    expect(isTypeBitmap(Uint8Array.from(Buffer.from(hex, 'hex')))).toBe(false)
  })
})

describe('NSEC', () => {
  const apex = nsec('z', 'b.z', TYPE.SOA, TYPE.NS, TYPE.A)
  const b = nsec('b.z', 'x.c.z', TYPE.A)
  const cut = nsec('cut.z', 'd.z', TYPE.NS)
  const away = nsec('d.z', 'm.z', TYPE.DNAME)
  const last = nsec('m.z', 'z', TYPE.CNAME)
  const all = [apex, b, cut, away, last]

  it('proves that a type is missing', () => {
    expect(nsecProvesNoData(all, name('b.z'), TYPE.AAAA)).toBe(true)
    expect(nsecProvesNoData(all, name('b.z'), TYPE.A)).toBe(false)
  })
  it('proves a name that only has names below it', () => {
    expect(nsecProvesNoData(all, name('c.z'), TYPE.A)).toBe(true)
    expect(nsecProvesNoName(all, name('c.z'))).toBe(false)
  })
  it('proves nothing of a type where there is an alias', () => {
    expect(nsecProvesNoData(all, name('m.z'), TYPE.A)).toBe(false)
  })
  it('of the parent proves nothing at a cut but the lack of DS (RFC 6840 §4.4)', () => {
    expect(nsecProvesNoData(all, name('cut.z'), TYPE.A)).toBe(false)
    expect(nsecProvesNoData(all, name('cut.z'), TYPE.DS)).toBe(true)
    expect(nsecCut(all, name('cut.z'))).toBe('unsigned-cut')
  })
  it('of the child proves no lack of DS', () => {
    expect(nsecProvesNoData(all, name('z'), TYPE.DS)).toBe(false)
    expect(nsecCut(all, name('z'))).toBe('unproven')
  })
  it('above a cut or a DNAME denies no name below it (RFC 6840 §4.1)', () => {
    expect(nsecProvesNoName(all, name('a.cut.z'))).toBe(false)
    expect(nsecProvesNoName(all, name('a.d.z'))).toBe(false)
    expect(nsecCut(all, name('a.cut.z'))).toBe('unproven')
  })
  it('proves that a name and its wildcard are missing, also after the last one', () => {
    expect(nsecProvesNoName(all, name('x.z'))).toBe(true)
    expect(nsecProvesNoName(all, name('a.z'))).toBe(true)
    expect(nsecProvesNoName([last], name('x.z'))).toBe(false)
    expect(nsecProvesNoName(all, name('x.other'))).toBe(false)
  })
  it('proves that a wildcard stands in, under the right name only', () => {
    expect(nsecProvesExpansion(all, name('a.z'), name('z'))).toBe(true)
    expect(nsecProvesExpansion(all, name('a.b.z'), name('z'))).toBe(false)
    expect(nsecProvesExpansion(all, name('b.z'), name('z'))).toBe(false)
  })
  it('with a wildcard proves that the wildcard lacks the type', () => {
    const wild = nsec('*.z', 'b.z', TYPE.A)
    expect(nsecProvesNoData([wild, last], name('x.z'), TYPE.AAAA)).toBe(true)
    expect(nsecProvesNoData([wild, last], name('x.z'), TYPE.A)).toBe(false)
  })
})

describe('NSEC3', () => {
  it('hashes as RFC 5155 appendix A does', () => {
    const salt = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd)
    const hashes = {
      example: '0p9mhaveqvm6t7vbl5lop2u3t2rp3tom',
      'a.example': '35mthgpgcu1qg68fab165klnsnk3dpvl',
      'ai.example': 'gjeqe526plbf1g8mklp59enfd789njgi',
      'ns1.example': '2t7b4g4vsa5smi47k61mv5bv1a22bojr',
      'w.example': 'k8udemvp1j2f7eg6jebps17vp3n8i58h',
      '*.w.example': 'r53bq7cc2uvmubfu5ocmm6pers9tk9en',
      'x.y.w.example': '2vptu5timamqttgl4luu9kg21e0aor3s',
      'xx.example': 't644ebqk9bibcna874givr6joj62mlhv',
    }
    expect(Object.keys(hashes).map((text) => nsec3Hash(name(text), salt, 12))).toEqual(Object.values(hashes))
  })
  it('writes hashes in base32hex without padding (RFC 4648 §10)', () => {
    const texts = ['', 'f', 'fo', 'foo', 'foob', 'fooba', 'foobar']
    expect(texts.map((text) => base32hex(Buffer.from(text)))).toEqual([
      '',
      'co',
      'cpng',
      'cpnmu',
      'cpnmuog',
      'cpnmuoj1',
      'cpnmuoj1e8',
    ])
  })
  const salt = Uint8Array.of(1)
  /** The chain of a zone with these names and types; `without` leaves records out of the answer. */
  const chainOf = (
    names: Readonly<Record<string, readonly number[]>>,
    optOut = false,
    without: readonly string[] = [],
  ) => {
    const ring = Object.entries(names)
      .map(([text, types]) => ({ text, types, hash: nsec3Hash(name(text), salt, 0) }))
      .toSorted((a, b) => (a.hash < b.hash ? -1 : 1))
    const records = ring.map(({ types, hash }, index) => {
      const nextHash = ring[(index + 1) % ring.length]!.hash
      return { hashAlgorithm: 1, optOut, iterations: 0, salt, ownerHash: hash, nextHash, types: bitmap(types) }
    })
    const left = records.filter(
      ({ ownerHash }) => !without.some((text) => nsec3Hash(name(text), salt, 0) === ownerHash),
    )
    return new Nsec3Chain(name('z'), left, new Budget())
  }
  const zone = {
    z: [TYPE.SOA, TYPE.NS],
    'a.z': [TYPE.A],
    'cut.z': [TYPE.NS],
    'signed.z': [TYPE.NS, TYPE.DS],
    'away.z': [TYPE.DNAME],
    'alias.z': [TYPE.CNAME],
    'empty.z': [],
    'x.empty.z': [TYPE.A],
    'wild.z': [],
    '*.wild.z': [TYPE.A],
  }
  const whole = chainOf(zone)

  it('proves what RFC 5155 §8 says it does', () => {
    expect(whole.noName(name('no.z'))).toBe('proven')
    expect(whole.noName(name('a.b.c.no.z'))).toBe('proven')
    expect(whole.noData(name('a.z'), TYPE.AAAA)).toBe('proven')
    expect(whole.noData(name('empty.z'), TYPE.A)).toBe('proven')
    expect(whole.noData(name('x.wild.z'), TYPE.AAAA)).toBe('proven')
    expect(whole.noData(name('cut.z'), TYPE.DS)).toBe('proven')
    expect(whole.expansion(name('x.y.wild.z'), name('wild.z'))).toBe('proven')
    expect([whole.cut(name('cut.z')), whole.cut(name('a.z')), whole.cut(name('no.z'))]).toEqual([
      'unsigned-cut',
      'no-cut',
      'no-cut',
    ])
  })
  it('proves nothing else', () => {
    expect(whole.noName(name('a.z'))).toBe('unproven')
    expect(whole.noName(name('x.wild.z'))).toBe('unproven') // the wildcard is there
    expect(whole.noData(name('a.z'), TYPE.A)).toBe('unproven')
    expect(whole.noData(name('alias.z'), TYPE.A)).toBe('unproven')
    expect(whole.noData(name('x.wild.z'), TYPE.A)).toBe('unproven')
    expect(whole.noData(name('no.z'), TYPE.A)).toBe('unproven')
    expect(whole.expansion(name('a.z'), name('z'))).toBe('unproven') // the name is there
    expect(whole.noName(name('no.other'))).toBe('unproven')
  })
  it('of the parent proves nothing at a cut but the lack of DS, and nothing below it or a DNAME', () => {
    expect(whole.noData(name('cut.z'), TYPE.A)).toBe('unproven')
    expect(whole.noName(name('a.cut.z'))).toBe('unproven')
    expect(whole.noName(name('a.away.z'))).toBe('unproven')
    expect(whole.cut(name('a.cut.z'))).toBe('unproven')
    expect(whole.cut(name('signed.z'))).toBe('unproven')
  })
  it('of the child proves no lack of DS', () => {
    expect([whole.noData(name('z'), TYPE.DS), whole.cut(name('z'))]).toEqual(['unproven', 'unproven'])
  })
  it('needs every record of the proof', () => {
    expect(chainOf(zone, false, ['z']).noName(name('no.z'))).toBe('unproven')
    expect(chainOf(zone, false, ['wild.z']).noData(name('x.wild.z'), TYPE.AAAA)).toBe('unproven')
  })
  it('under opt-out leaves open what may hide an unsigned delegation', () => {
    const open = chainOf(zone, true)
    expect([open.noName(name('no.z')), open.cut(name('no.z'))]).toEqual(['opt-out', 'unsigned-cut'])
    expect([open.noData(name('no.z'), TYPE.DS), open.noData(name('a.z'), TYPE.AAAA)]).toEqual(['opt-out', 'proven'])
  })

  it('hashes a bounded number of times for one question (CVE-2023-50868)', () => {
    const budget = new Budget()
    const record = {
      hashAlgorithm: 1,
      optOut: false,
      iterations: 150,
      salt: new Uint8Array(0),
      ownerHash: '0'.repeat(32),
      nextHash: 'v'.repeat(32),
      types: new Uint8Array(0),
    }
    const long = name(`${'a.'.repeat(120)}z`)
    expect(new Nsec3Chain(name('z'), [record], budget).noName(long)).toBe('unproven')
    expect(budget.isSpent).toBe(true)
  })
})
