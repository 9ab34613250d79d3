import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { prepareAnswer } from '../../../src/dns/answer.ts'
import { CLASS, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { parseAnchor } from '../../../src/dns/dnssec/anchor.ts'
import { Budget } from '../../../src/dns/dnssec/budget.ts'
import { Denial } from '../../../src/dns/dnssec/denial.ts'
import { parseDnskey } from '../../../src/dns/dnssec/dnskey.ts'
import { parseDs } from '../../../src/dns/dnssec/ds.ts'
import { canonicalName, compareNames, isAtOrUnder, nameText } from '../../../src/dns/dnssec/name.ts'
import { parseNsec } from '../../../src/dns/dnssec/nsec.ts'
import { parseNsec3 } from '../../../src/dns/dnssec/nsec3.ts'
import { rewriteAnswer } from '../../../src/dns/dnssec/rewrite.ts'
import { readRrsets } from '../../../src/dns/dnssec/rrset.ts'
import { parseRrsig } from '../../../src/dns/dnssec/rrsig.ts'
import { hasType } from '../../../src/dns/dnssec/type-bitmap.ts'
import { verifyRrset } from '../../../src/dns/dnssec/verify.ts'
import { messageEnd } from '../../../src/dns/records.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { queryWire } from '../../support/query.ts'
import { TEST_NOW_S, TestZone, World } from '../../support/signed-zone.ts'
import { hostilePackets } from '../hostile.ts'

const PACKETS = 20_000
const zone = (denial: 'nsec' | 'nsec3') =>
  new TestZone('z.test', { denial })
    .add('www.z.test', TYPE.A, { address: '192.0.2.1' })
    .add('*.wild.z.test', TYPE.MX, { preference: 1, exchange: 'Mail.z.test' })
const [byNsec, byNsec3] = [zone('nsec'), zone('nsec3')]
const questions: [string, number][] = [
  ['www.z.test', TYPE.A],
  ['no.z.test', TYPE.A],
  ['a.wild.z.test', TYPE.MX],
  ['z.test', TYPE.DNSKEY],
  ['z.test', TYPE.SOA],
]
const samples = [byNsec, byNsec3].flatMap((one) =>
  questions.map(([name, type]) => new World([one]).answer(queryWire(name, type))),
)

describe('hostile answers', () => {
  it(`${PACKETS} of them make nothing throw, and none is believed that was not signed`, () => {
    const keys = byNsec.keys.map(({ dnskey }) => dnskey)
    const genuine = new Set<string>()
    const print = (set: { name: string; type: number; rdatas: readonly Uint8Array[] }): string =>
      `${set.name} ${set.type} ${set.rdatas.map((rdata) => Buffer.from(rdata).toString('hex')).join()}`
    for (const sample of samples) for (const set of readRrsets(MessageView.over(sample)!) ?? []) genuine.add(print(set))
    let believed = 0
    for (const packet of hostilePackets(5, PACKETS, samples)) {
      const prepared = prepareAnswer(packet)
      const sets = prepared && readRrsets(prepared)
      if (!prepared || !sets) continue
      for (const set of sets) {
        const verified = verifyRrset(set, { name: byNsec.name, keys }, TEST_NOW_S, new Budget())
        if (verified.kind !== 'secure') continue
        believed++
        if (verified.expandedUnder === undefined) expect(genuine).toContain(print(set))
      }
      const denial = new Denial(byNsec.name, sets, new Budget())
      for (const name of ['\x02no\x01z\x04test\0', byNsec.name, '\x01a\x04wild\x01z\x04test\0'])
        void [denial.noName(name), denial.noData(name, TYPE.A), denial.cut(name), denial.expansion(name, byNsec.name)]
    }
    expect(believed).toBeGreaterThan(100)
  })

  it('shortened, they are whole messages without what was left out', () => {
    for (const packet of hostilePackets(6, PACKETS, samples)) {
      const prepared = prepareAnswer(packet)
      if (!prepared) continue
      const wire = rewriteAnswer(prepared, {
        authenticData: true,
        ttlCaps: new Map(),
        leavesOut: ({ type }) => type === TYPE.RRSIG,
      })
      if (!wire) continue
      expect(messageEnd(wire)).toBe(wire.length)
      expect(
        readRrsets({ wire, questionEnd: prepared.questionEnd })?.some(({ signatures }) => signatures.length > 0),
      ).not.toBe(true)
    }
  })
})

describe('parsers of single records', () => {
  const octets = fc.uint8Array({ maxLength: 300 })
  it('take any octets', () => {
    fc.assert(
      fc.property(octets, (rdata) => {
        void parseDnskey(rdata)?.publicKey
        parseDs(rdata)
        parseRrsig(rdata, 0, rdata.length)
        const owner = `\x20${'0'.repeat(32)}\x01z\0`
        const types = parseNsec(owner, rdata)?.types ?? parseNsec3(owner, rdata)?.types
        return types === undefined || typeof hasType(types, TYPE.CAA) === 'boolean'
      }),
      { seed: 7, numRuns: 20_000 },
    )
  })
  it('take any text as an anchor', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => typeof parseAnchor(`. DS ${text}`) === 'string'),
      { seed: 8, numRuns: 5_000 },
    )
  })
})

describe('names', () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 4 })
  const name = fc
    .array(label, { maxLength: 6 })
    .map(
      (labels) =>
        `${labels.map((one) => String.fromCharCode(one.length) + Buffer.from(one).toString('latin1').toLowerCase()).join('')}\0`,
    )
    .filter((text) => !/[\xc0-\xde]/.test(text))
  it('have one text, and come back from it', () => {
    fc.assert(
      fc.property(
        name,
        (one) => canonicalName(nameText(one)) === one.replaceAll(/[A-Z]/g, (letter) => letter.toLowerCase()),
      ),
      { seed: 9, numRuns: 5_000 },
    )
  })
  it('are in one order, parents before children', () => {
    fc.assert(
      fc.property(name, name, (a, b) => {
        const order = compareNames(a, b)
        const isConsistent = Math.sign(order) === -Math.sign(compareNames(b, a)) && (order === 0) === (a === b)
        return isConsistent && (!isAtOrUnder(a, b) || a === b || order > 0)
      }),
      { seed: 10, numRuns: 5_000 },
    )
  })
})

it('a message with too many sets is not looked at', () => {
  const world = new World([byNsec])
  world.change = (sections) => {
    sections.answers = Array.from({ length: 300 }, (_, index) => ({
      name: `n${index}.z.test`,
      type: TYPE.A,
      class: CLASS.IN,
      ttl: 1,
      data: { address: '192.0.2.1' },
    }))
    sections.rcode = RCODE.NOERROR
  }
  expect(readRrsets(MessageView.over(world.answer(queryWire('z.test')))!)).toBeUndefined()
})
