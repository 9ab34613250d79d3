import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { buildSnapshot, parseSnapshot, type SavedAnswer } from '../../../../src/router/resolve/cache/snapshot.ts'
import { hostilePackets } from '../../../dns/hostile.ts'
import { queryWire, responseWire } from '../../../support/query.ts'

const saved = (name: string, extra: Partial<SavedAnswer> = {}): SavedAnswer => ({
  ageS: 5,
  bits: 0,
  scope: '',
  from: 'tls://192.0.2.53',
  message: responseWire(queryWire(name), ['192.0.2.1']),
  ...extra,
})

const SETTINGS = new Uint8Array(32).fill(7)
const AT_ONCE = { savedAtMs: 0, settings: SETTINGS, bytesMax: 10_000 }

/** With a digest that fits, so that what is behind it gets to see the octets. */
function sealed(body: Uint8Array): Uint8Array {
  return Buffer.concat([body, createHash('sha256').update(body).digest()])
}

describe('a snapshot', () => {
  it('gives back what was saved', () => {
    const answers = [saved('a.example'), saved('b.example', { ageS: 4_000_000_000, bits: 3, scope: 'gäste', from: '' })]
    const snapshot = parseSnapshot(
      buildSnapshot(answers, { savedAtMs: 1_700_000_000_123, settings: SETTINGS, bytesMax: 10_000 }),
    )!
    expect(snapshot.savedAtMs).toBe(1_700_000_000_123)
    expect(Uint8Array.from(snapshot.settings)).toEqual(SETTINGS)
    const read = snapshot.answers.map(({ ageS, bits, scope, from, message }) => ({ ageS, bits, scope, from, message }))
    expect(read.map((answer) => ({ ...answer, message: Uint8Array.from(answer.message) }))).toEqual(answers)
    expect(snapshot.answers[0]!.prepared).toMatchObject({ minTtlS: 300, answerCount: 1 })
  })

  it('takes what fits the budget, the first ones first', () => {
    const answers = Array.from({ length: 100 }, (_, index) => saved(`host-${index}.example`))
    const octets = buildSnapshot(answers, { ...AT_ONCE, bytesMax: 2_000 })
    expect(octets.length).toBeLessThanOrEqual(2_000)
    const kept = parseSnapshot(octets)!.answers
    expect(kept.length).toBeGreaterThan(15)
    expect(Buffer.from(kept.at(-1)!.message)).toEqual(Buffer.from(answers[kept.length - 1]!.message))
  })

  it('passes over an answer that is no message', () => {
    const octets = buildSnapshot([saved('a.example', { message: new Uint8Array(40) }), saved('b.example')], AT_ONCE)
    expect(parseSnapshot(octets)!.answers.length).toBe(1)
  })

  it('of another version, cut or changed anywhere is no snapshot', () => {
    const good = buildSnapshot([saved('a.example')], AT_ONCE)
    for (let at = 0; at < good.length; at++) {
      expect(parseSnapshot(good.subarray(0, at))).toBeUndefined()
      expect(parseSnapshot(Uint8Array.from(good, (octet, index) => (index === at ? octet ^ 1 : octet)))).toBeUndefined()
    }
    const otherVersion = good.slice(0, -32)
    otherVersion[7] = 0x32
    expect(parseSnapshot(sealed(otherVersion))).toBeUndefined()
  })

  it('hostile octets under a digest that fits are refused or read', () => {
    const body = buildSnapshot([saved('a.example'), saved('b.example', { scope: 'x' })], AT_ONCE).slice(0, -32)
    let read = 0
    for (const octets of hostilePackets(9, 10_000, [body])) {
      const snapshot = parseSnapshot(sealed(octets))
      for (const { bits, message, prepared } of snapshot?.answers ?? []) {
        read++
        expect(bits).toBeLessThan(4)
        expect(prepared.wire.length).toBeLessThanOrEqual(message.length)
      }
    }
    expect(read).toBeGreaterThan(500)
  })
})
