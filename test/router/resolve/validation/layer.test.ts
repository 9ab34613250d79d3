import { describe, expect, it } from 'vitest'
import { Fault } from '../../../../src/core/fault.ts'
import { EXTENDED_ERROR, RCODE, TYPE } from '../../../../src/dns/codes.ts'
import { recordText } from '../../../../src/dns/message.ts'
import type { Resolver } from '../../../../src/router/resolve/resolver.ts'
import { randomNumbers } from '../../../dns/hostile.ts'
import { makeKey, TEST_NOW_S, TestZone, type World, withFlags, type ZoneOptions } from '../../../support/signed-zone.ts'
import { type Scene, sceneOf, upstreamOf } from './world.ts'

const A = (address: string) => ({ address })
const HOUR_S = 3600

function filled(zone: TestZone, name: string): TestZone {
  return zone
    .add(`www.${name}`, TYPE.A, A('192.0.2.1'))
    .add(`*.wild.${name}`, TYPE.A, A('192.0.2.2'))
    .add(`deep.empty.${name}`, TYPE.A, A('192.0.2.3'))
    .add(`alias.${name}`, TYPE.CNAME, { host: `www.${name}` })
    .add(`away.${name}`, TYPE.CNAME, { host: 'www.plain.test' })
    .add(`lost.${name}`, TYPE.CNAME, { host: `nowhere.${name}` })
    .add(`tree.${name}`, TYPE.DNAME, { host: `under.${name}` })
    .add(`a.under.${name}`, TYPE.A, A('192.0.2.4'))
}

/** Root, test. and below it a zone of every kind. */
async function usual(
  options: ZoneOptions = {},
  more: Parameters<typeof sceneOf>[1] = {},
): Promise<Scene & { zone: TestZone }> {
  const root = new TestZone('.')
  const top = new TestZone('test', { denial: 'nsec' })
  const zone = filled(new TestZone('good.test', options), 'good.test')
  const plain = new TestZone('plain.test', { signed: false })
  plain.add('www.plain.test', TYPE.A, A('192.0.2.9')).add('back.plain.test', TYPE.CNAME, { host: 'www.good.test' })
  const child = new TestZone('child.good.test', { signed: false })
  child.add('www.child.good.test', TYPE.A, A('192.0.2.8'))
  zone.delegate(child)
  top.delegate(zone).delegate(plain)
  root.delegate(top)
  return { ...(await sceneOf([root, top, zone, plain, child], more)), zone }
}

const SECURE = { rcode: RCODE.NOERROR, ad: true, errors: [] }
const INSECURE = { rcode: RCODE.NOERROR, ad: false, errors: [] }

describe.each([
  ['RSA/SHA-256 with NSEC', { algorithm: 8, denial: 'nsec' }],
  ['RSA/SHA-512 with NSEC3', { algorithm: 10, denial: 'nsec3' }],
  ['ECDSA P-256 with NSEC3', { algorithm: 13, denial: 'nsec3', iterations: 5 }],
  ['ECDSA P-384 with NSEC', { algorithm: 14, denial: 'nsec' }],
  ['Ed25519 with NSEC3', { algorithm: 15, denial: 'nsec3' }],
] as const)('a zone signed by %s', (_, options) => {
  it.each([
    ['an address', 'www.good.test', TYPE.A, SECURE],
    ['an alias', 'alias.good.test', TYPE.A, SECURE],
    ['the alias itself', 'alias.good.test', TYPE.CNAME, SECURE],
    ['a name below a DNAME', 'a.tree.good.test', TYPE.A, SECURE],
    ['a name from a wildcard', 'x.y.wild.good.test', TYPE.A, SECURE],
    ['a type that is missing', 'www.good.test', TYPE.AAAA, SECURE],
    ['a type that is missing at a wildcard', 'x.wild.good.test', TYPE.AAAA, SECURE],
    ['a name with names below it alone', 'empty.good.test', TYPE.A, SECURE],
    ['a name that is missing', 'no.good.test', TYPE.A, { ...SECURE, rcode: RCODE.NXDOMAIN }],
    ['a deep name that is missing', 'a.b.c.no.good.test', TYPE.A, { ...SECURE, rcode: RCODE.NXDOMAIN }],
    ['an alias of a missing name', 'lost.good.test', TYPE.A, { ...SECURE, rcode: RCODE.NXDOMAIN }],
    ['an alias into an unsigned zone', 'away.good.test', TYPE.A, INSECURE],
    ['a name in an unsigned zone below', 'www.child.good.test', TYPE.A, INSECURE],
    ['a missing name in an unsigned zone below', 'no.child.good.test', TYPE.A, { ...INSECURE, rcode: RCODE.NXDOMAIN }],
    ['the DS that the unsigned zone below has not', 'child.good.test', TYPE.DS, SECURE],
    ['its own DS', 'good.test', TYPE.DS, SECURE],
    ['its own keys', 'good.test', TYPE.DNSKEY, SECURE],
    ['everything', 'www.good.test', TYPE.ANY, SECURE],
    ['an alias from an unsigned zone', 'back.plain.test', TYPE.A, INSECURE],
  ] as const)('%s', async (_, name, type, expected) => {
    const { ask } = await usual(options)
    expect(await ask(name, type)).toMatchObject(expected)
  })
})

describe('under opt-out', () => {
  const options = { denial: 'opt-out' } as const
  it.each([
    ['what exists is proven', 'www.good.test', TYPE.A, SECURE],
    ['a missing type is proven', 'www.good.test', TYPE.AAAA, SECURE],
    ['an unsigned zone is insecure', 'www.child.good.test', TYPE.A, INSECURE],
    ['a missing name is not proven, and not refused', 'no.good.test', TYPE.A, { ...INSECURE, rcode: RCODE.NXDOMAIN }],
    ['a wildcard is not proven, and not refused', 'x.wild.good.test', TYPE.A, INSECURE],
  ] as const)('%s', async (_, name, type, expected) => {
    const { ask } = await usual(options)
    expect(await ask(name, type)).toMatchObject(expected)
  })
})

/** SERVFAIL, and why. */
const refused = (code: number) => ({
  rcode: RCODE.SERVFAIL,
  ad: false,
  errors:
    code === EXTENDED_ERROR.DNSSEC_BOGUS || code === EXTENDED_ERROR.DNSSEC_INDETERMINATE
      ? [code]
      : [code, EXTENDED_ERROR.DNSSEC_BOGUS],
})

describe('a zone that is broken', () => {
  it('by time: its signatures have expired', async () => {
    const { ask } = await usual({ inceptionS: TEST_NOW_S - 2 * HOUR_S, expirationS: TEST_NOW_S - 1 })
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.SIGNATURE_EXPIRED))
  })
  it('by time: its signatures are not valid yet', async () => {
    const { ask } = await usual({ inceptionS: TEST_NOW_S + 1, expirationS: TEST_NOW_S + HOUR_S })
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.SIGNATURE_NOT_YET_VALID))
  })
  it('by time: its signatures expire before they are valid', async () => {
    const { ask } = await usual({ inceptionS: TEST_NOW_S + 1, expirationS: TEST_NOW_S - 1 })
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.SIGNATURE_EXPIRED_BEFORE_VALID))
  })
  it('by an address that was changed on the way', async () => {
    const { ask, world } = await usual()
    world.change = ({ answers }) => {
      for (const record of answers)
        if (record.type === TYPE.A) Object.assign(record, { data: Uint8Array.of(6, 6, 6, 6) })
    }
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.DNSSEC_BOGUS))
  })
  it('by signatures that were taken away', async () => {
    const { ask, world } = await usual()
    world.change = (sections, _, type) => {
      if (type === TYPE.A) sections.answers = sections.answers.filter((record) => record.type !== TYPE.RRSIG)
    }
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.RRSIGS_MISSING))
  })
  it('by proofs that were taken away', async () => {
    const { ask, world } = await usual()
    world.change = (sections, _, type) => {
      if (type === TYPE.A) sections.authorities = sections.authorities.filter((record) => record.type === TYPE.SOA)
    }
    expect(await ask('no.good.test')).toMatchObject(refused(EXTENDED_ERROR.NSEC_MISSING))
    expect(await ask('x.wild.good.test')).toMatchObject(refused(EXTENDED_ERROR.NSEC_MISSING))
  })
  it('by a proof that belongs to another name', async () => {
    const { ask, world, zone } = await usual()
    world.change = (sections, name) => {
      if (name !== 'no.good.test') return
      sections.answers = []
      sections.authorities = [
        ...zone.records(zone.find('\x04good\x04test\0', TYPE.SOA)!),
        ...zone.denial('\x05empty\x04good\x04test\0', 'no-data'),
      ]
    }
    expect(await ask('no.good.test')).toMatchObject(refused(EXTENDED_ERROR.NSEC_MISSING))
  })
  it('by a name that is said to be missing and is there', async () => {
    const { ask, world } = await usual()
    world.change = (sections, name) => {
      if (name === 'www.good.test') Object.assign(sections, { answers: [], rcode: RCODE.NXDOMAIN })
    }
    expect((await ask('www.good.test')).rcode).toBe(RCODE.SERVFAIL)
  })
  it('by keys that its DS does not name', async () => {
    const { ask, zone } = await usual()
    const others = new TestZone('good.test')
    zone.remove('good.test', TYPE.DNSKEY)
    zone.keys.splice(0, 1, ...others.keys)
    zone.add('good.test', TYPE.DNSKEY, others.keys[0]!.dnskey.rdata)
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.DNSKEY_MISSING))
  })
  it('by keys that are no zone keys', async () => {
    const root = new TestZone('.')
    const zone = new TestZone('odd', { signed: false }).add('www.odd', TYPE.A, A('192.0.2.1'))
    zone.addKey(withFlags(makeKey(13), 0x0001))
    root.delegate(zone)
    const { ask } = await sceneOf([root, zone])
    expect(await ask('www.odd')).toMatchObject(refused(EXTENDED_ERROR.NO_ZONE_KEY_BIT))
  })
  it('by no keys at all', async () => {
    const { ask, zone } = await usual()
    zone.remove('good.test', TYPE.DNSKEY)
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.DNSKEY_MISSING))
  })
  it('by DS records that were taken away without proof', async () => {
    const { ask, world } = await usual()
    world.change = (sections, name, type) => {
      if (type === TYPE.DS && name === 'good.test') Object.assign(sections, { answers: [] })
    }
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.NSEC_MISSING))
  })
  it('by a wildcard put in the place of a name that exists', async () => {
    const { ask, world, zone } = await usual()
    zone.add('real.wild.good.test', TYPE.A, A('192.0.2.77'))
    world.change = (sections, name) => {
      if (name !== 'real.wild.good.test') return
      sections.answers = zone.records(
        zone.find('\x01*\x04wild\x04good\x04test\0', TYPE.A)!,
        '\x04real\x04wild\x04good\x04test\0',
      )
      sections.authorities = zone.denial('\x04real\x04wild\x04good\x04test\0', 'no-data')
    }
    expect(await ask('real.wild.good.test')).toMatchObject(refused(EXTENDED_ERROR.NSEC_MISSING))
  })
  it('and with an upstream that hands on no signatures at all, every signed name is refused', async () => {
    const { ask, world } = await usual()
    world.change = (sections) => {
      sections.answers = sections.answers.filter(({ type }) => type !== TYPE.RRSIG)
      sections.authorities = sections.authorities.filter(({ type }) => type === TYPE.SOA)
    }
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.RRSIGS_MISSING))
  })
})

describe('what cannot be checked', () => {
  it('a zone whose algorithm nobody knows is insecure (RFC 4035 §5.2)', async () => {
    const root = new TestZone('.')
    const zone = new TestZone('odd', { signed: false }).add('www.odd', TYPE.A, A('192.0.2.1'))
    const rdata = Uint8Array.from([0, 1, 7, 2, ...new Uint8Array(32)])
    root.delegate(zone).add('odd', TYPE.DS, rdata)
    const { ask } = await sceneOf([root, zone])
    expect(await ask('www.odd')).toMatchObject({ ...INSECURE, errors: [EXTENDED_ERROR.UNSUPPORTED_DNSKEY_ALGORITHM] })
  })
  it('a zone whose digest nobody knows is insecure', async () => {
    const root = new TestZone('.')
    const zone = new TestZone('odd').add('www.odd', TYPE.A, A('192.0.2.1'))
    root.delegate(zone, 'no-ds').add('odd', TYPE.DS, zone.dsRdata(3))
    const { ask } = await sceneOf([root, zone])
    expect(await ask('www.odd')).toMatchObject({ ...INSECURE, errors: [EXTENDED_ERROR.UNSUPPORTED_DS_DIGEST] })
  })
  it('more than 150 NSEC3 iterations are insecure, more than 500 refused (RFC 9276 §3.2)', async () => {
    const many = await usual({ denial: 'nsec3', iterations: 151 })
    expect(await many.ask('www.good.test')).toMatchObject(SECURE)
    expect(await many.ask('no.good.test')).toMatchObject({
      rcode: RCODE.NXDOMAIN,
      ad: false,
      errors: [EXTENDED_ERROR.UNSUPPORTED_NSEC3_ITERATIONS],
    })
    const tooMany = await usual({ denial: 'nsec3', iterations: 501 })
    expect(await tooMany.ask('no.good.test')).toMatchObject(refused(EXTENDED_ERROR.UNSUPPORTED_NSEC3_ITERATIONS))
    const enough = await usual({ denial: 'nsec3', iterations: 150 })
    expect(await enough.ask('no.good.test')).toMatchObject({ rcode: RCODE.NXDOMAIN, ad: true })
  })
  it('keys that could not be fetched leave the answer indeterminate', async () => {
    const { ask, world } = await usual()
    world.change = (sections, _, type) => {
      if (type === TYPE.DNSKEY) sections.rcode = RCODE.SERVFAIL
    }
    expect(await ask('www.good.test')).toMatchObject(refused(EXTENDED_ERROR.DNSSEC_INDETERMINATE))
    world.change = () => {}
    expect(await ask('www.good.test')).toMatchObject(SECURE)
  })
  it('names outside every anchor are insecure', async () => {
    const zone = new TestZone('corp').add('www.corp', TYPE.A, A('192.0.2.1'))
    const root = new TestZone('.', { signed: false })
    const { ask } = await sceneOf([zone, root])
    expect(await ask('www.corp')).toMatchObject(SECURE)
    expect(await ask('no.where')).toMatchObject({ rcode: RCODE.NXDOMAIN, ad: false, errors: [] })
  })
})

describe('negative trust anchors (RFC 7646)', () => {
  it('let a broken zone pass, and nothing else', async () => {
    const { ask } = await usual({ expirationS: TEST_NOW_S - 1 }, { negative: ['good.test'] })
    expect(await ask('www.good.test')).toMatchObject(INSECURE)
    expect(await ask('test', TYPE.SOA)).toMatchObject(SECURE)
    expect(await ask('alias.good.test')).toMatchObject(INSECURE)
  })
  it('ask for no keys of what they cover', async () => {
    const { ask, world } = await usual({}, { negative: ['test'] })
    expect(await ask('www.good.test')).toMatchObject(INSECURE)
    expect(world.asked).toEqual(['www.good.test 1'])
  })
})

describe('bits and records given to clients', () => {
  it('DO=0: no proofs, AD when asked for (RFC 4035 §3.2.1, RFC 6840 §5.7)', async () => {
    const { ask } = await usual()
    const found = await ask('www.good.test', TYPE.A, { dnssecOk: false })
    expect([found.ad, found.message.answers.map(({ type }) => type)]).toEqual([false, [TYPE.A]])
    const missing = await ask('no.good.test', TYPE.A, { dnssecOk: false, authenticData: true })
    expect([missing.ad, missing.message.authorities.map(({ type }) => type)]).toEqual([true, [TYPE.SOA]])
  })
  it('DO=0 and asked by type: that type comes', async () => {
    const { ask } = await usual()
    const found = await ask('good.test', TYPE.NSEC, { dnssecOk: false })
    expect(found.message.answers.map(({ type }) => type)).toEqual([TYPE.NSEC])
    const signatures = await ask('www.good.test', TYPE.RRSIG, { dnssecOk: false })
    expect([signatures.ad, signatures.message.answers.map(({ type }) => type)]).toEqual([false, [TYPE.RRSIG]])
  })
  it('DO=1: signatures come too', async () => {
    const { ask } = await usual()
    const { message } = await ask('www.good.test')
    expect(message.answers.map(({ type }) => type)).toEqual([TYPE.A, TYPE.RRSIG])
  })
  it('CD=1: forged data passes, without AD', async () => {
    const { ask } = await usual({ expirationS: TEST_NOW_S - 1 })
    expect(await ask('www.good.test', TYPE.A, { checkingDisabled: true })).toMatchObject(INSECURE)
  })
  it('unproven records beside a proven answer are left out', async () => {
    const { ask, world } = await usual()
    world.change = (sections, name) => {
      if (name !== 'www.good.test') return
      sections.authorities.push({ name: 'good.test', type: TYPE.NS, class: 1, ttl: 9, data: { host: 'evil.test' } })
    }
    const { ad, message } = await ask('www.good.test')
    expect([ad, message.authorities]).toEqual([true, []])
  })
  it('TTLs end with the signature (RFC 4035 §5.3.3)', async () => {
    const { ask } = await usual({ expirationS: TEST_NOW_S + 7 })
    const { message } = await ask('www.good.test')
    expect(message.answers.map(({ ttl }) => ttl)).toEqual([7, 7])
  })
  it('while the clock is not trusted all passes without AD', async () => {
    let trusted = false
    const { ask, world } = await usual({ expirationS: TEST_NOW_S - 1 }, { isClockTrusted: () => trusted })
    expect(await ask('www.good.test')).toMatchObject(INSECURE)
    expect(world.asked).toEqual(['www.good.test 1'])
    trusted = true
    expect((await ask('www.good.test')).rcode).toBe(RCODE.SERVFAIL)
  })
  it('of the extended errors of the upstream, those about DNSSEC are not handed on: the verdict is ours', async () => {
    const upstream = (world: World): Resolver => ({
      id: 'chatty',
      async resolve(query, signal) {
        const answer = await upstreamOf(world).resolve(query, signal)
        const extendedErrors = [{ code: EXTENDED_ERROR.DNSSEC_BOGUS }, { code: EXTENDED_ERROR.STALE_ANSWER }]
        return answer.kind === 'answer' ? { ...answer, extendedErrors } : answer
      },
    })
    const { ask } = await usual({}, { upstream })
    expect(await ask('www.good.test')).toMatchObject({ ad: true, errors: [EXTENDED_ERROR.STALE_ANSWER] })
  })
  it('answers of our own layers below are handed on', async () => {
    const { ask } = await usual(
      {},
      {
        ownAnswers: ['rebinding'],
        upstream: (world) => ({
          id: 'rebinding',
          async resolve({ view }) {
            const empty = world.answer(view.wire)
            empty[7] = 0
            return {
              kind: 'answer',
              wire: empty.slice(0, view.questionEnd).fill(0, 6, 12).fill(1, 5, 6),
              from: 'rebinding',
            }
          },
        }),
      },
    )
    expect((await ask('www.good.test')).rcode).toBe(RCODE.NOERROR)
  })
})

describe('further questions', () => {
  it('are asked once for many names of a zone', async () => {
    const { ask, world } = await usual()
    await ask('www.good.test')
    const first = world.asked.length
    expect(world.asked).toEqual(['www.good.test 1', '. 48', 'test 43', 'test 48', 'good.test 43', 'good.test 48'])
    await ask('alias.good.test')
    expect(world.asked.length).toBe(first + 1)
  })
  it('are shared by questions at one time', async () => {
    const { ask, world } = await usual()
    await Promise.all(['www.good.test', 'alias.good.test', 'no.good.test'].map((name) => ask(name)))
    expect(world.asked.length).toBe(8)
  })
  it('that failed for another question are tried again for this one', async () => {
    const { ask, world } = await usual()
    let failures = 1
    world.change = (sections, name, type) => {
      if (name === '.' && type === TYPE.DNSKEY && failures-- > 0) sections.rcode = RCODE.SERVFAIL
    }
    const [first, second] = await Promise.all([ask('www.good.test'), ask('alias.good.test')])
    expect([first.rcode, second.ad]).toEqual([RCODE.SERVFAIL, true])
  })
  it('are asked again when their TTL is over', async () => {
    const { ask, world, clock } = await usual()
    await ask('www.good.test')
    await clock.advance(301_000)
    await ask('www.good.test')
    expect(world.asked.length).toBe(12)
  })
  it('are asked again when all is to be forgotten', async () => {
    const { ask, world, validation } = await usual()
    await ask('www.good.test')
    validation.forget()
    await ask('www.good.test')
    expect(world.asked.length).toBe(12)
  })
  it('are bounded for each question', async () => {
    const { ask, world, zone } = await usual()
    zone.add(`${'a.'.repeat(60)}good.test`, TYPE.A, A('192.0.2.1'))
    world.change = (sections, name, type) => {
      if (name.startsWith('a.a.') && type === TYPE.A)
        sections.answers = sections.answers.filter((record) => record.type === TYPE.A)
    }
    expect(await ask(`${'a.'.repeat(60)}good.test`)).toMatchObject(refused(EXTENDED_ERROR.DNSSEC_INDETERMINATE))
    expect(world.asked.length).toBe(41)
  })
})

describe('hostile upstreams', () => {
  it('make nothing throw, and nothing that was not signed gets AD', async () => {
    const { ask, world } = await usual({ denial: 'nsec3' })
    const questions = [
      'www.good.test',
      'no.good.test',
      'x.wild.good.test',
      'alias.good.test',
      'away.good.test',
      'a.tree.good.test',
    ]
    const honest = new Map<string, string>()
    const texts = async (name: string): Promise<string> => {
      const { ad, rcode, message } = await ask(name, TYPE.A, { dnssecOk: false, authenticData: true })
      if (!ad) return 'not authentic'
      // A record that comes twice is one record (RFC 4034 §6.3).
      const records = message.answers.map((record) =>
        recordText({ ...record, ttl: 0, name: record.name.toLowerCase() }),
      )
      return `${rcode} ${[...new Set(records)].toSorted().join().toLowerCase()}`
    }
    for (const name of questions) honest.set(name, await texts(name))
    const next = randomNumbers(11)
    world.change = (sections) => {
      for (let changes = 1 + (next() % 3); changes > 0; changes--) {
        const section = next() % 2 === 0 ? sections.answers : sections.authorities
        const at = next() % Math.max(1, section.length)
        const record = section[at]
        const kind = next() % 6
        if (kind === 0) section.splice(at, 1)
        else if (kind === 1 && record) section.push(record)
        else if (kind === 2) sections.rcode = next() % 2 === 0 ? RCODE.NXDOMAIN : RCODE.NOERROR
        else if (kind === 3) [sections.answers, sections.authorities] = [sections.authorities, sections.answers]
        else if (record?.data instanceof Uint8Array && record.data.length > 0) {
          const data = Uint8Array.from(record.data)
          data[next() % data.length] = next() & 0xff
          section[at] = { ...record, data }
        }
      }
    }
    let authentic = 0
    for (let round = 0; round < 600; round++) {
      const name = questions[next() % questions.length]!
      const said = await texts(name).catch((error: unknown) => {
        // A changed name or length may make the message none, which the upstream layer refuses.
        if (error instanceof Fault && error.code === 'UPSTREAM_BROKEN') return 'not authentic'
        throw error
      })
      if (said === 'not authentic') continue
      authentic++
      expect(said).toBe(honest.get(name))
    }
    expect(authentic).toBeGreaterThan(20)
  })
})

it('tells what it would do with a name', async () => {
  const { validation } = await usual({}, { negative: ['plain.test'] })
  const says = (name: string): string | undefined => validation.explain({ name, type: TYPE.A }, '192.0.2.1')?.says
  expect(says('www.good.test')).toBe('signatures are checked: positive trust anchor .')
  expect(says('www.plain.test')).toBe('signatures are not checked: negative trust anchor plain.test')
})

it('says once when the clock is trusted, so that unchecked answers can be forgotten', async () => {
  let trusted = false
  let told = 0
  const { ask } = await usual({}, { isClockTrusted: () => trusted, onClockTrusted: () => told++ })
  await ask('www.good.test')
  expect(told).toBe(0)
  trusted = true
  await ask('www.good.test')
  await ask('www.good.test')
  expect(told).toBe(1)
})

it('counts its verdicts', async () => {
  const { ask, validation } = await usual()
  await ask('www.good.test')
  await ask('www.plain.test')
  expect(validation.status()).toMatchObject({ secure: 1, insecure: 1, bogus: 0, indeterminate: 0 })
})
