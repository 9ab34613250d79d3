import { expect, it } from 'vitest'
import { prepareAnswer, writeAnswer } from '../../../../src/dns/answer.ts'
import { buildMessage } from '../../../../src/dns/message.ts'
import { MessageView } from '../../../../src/dns/view.ts'
import { AnswerBuffer, HeldAnswer, newSegment, recordBytes } from '../../../../src/router/resolve/cache/held-answer.ts'
import { randomNumbers } from '../../../dns/hostile.ts'
import { queryWire } from '../../../support/query.ts'
import { a, soa } from './scene.ts'

it('an answer is written from its record as from what it was made of, for every asker and age', () => {
  const next = randomNumbers(41)
  const held = new HeldAnswer()
  const buffer = new AnswerBuffer()
  for (let round = 0; round < 1_000; round++) {
    const name = `${'x'.repeat(1 + (next() % 50))}.example`
    const answers = Array.from({ length: next() % 20 }, () => a(name, next() % 1000))
    const response = buildMessage({
      isResponse: true,
      authenticData: next() % 2 === 0,
      questions: [{ name, type: 1, class: 1 }],
      answers,
      authorities: [soa(next() % 1000, 60)],
    })
    const prepared = prepareAnswer(response, 'authenticated')!
    const extendedErrors = next() % 3 === 0 ? [{ code: 3, text: 'x'.repeat(next() % 200) }] : []
    const size = recordBytes(prepared, extendedErrors)
    const at = 8 * (next() % 10)
    held.moveTo(newSegment(0, at + size), at)
    held.fill(
      prepared,
      { hash: 1, variant: 3, isDenial: false, storedMs: 0, lifetimeS: 60, source: 1, extendedErrors },
      size,
    )

    const query = MessageView.over(
      queryWire(next() % 2 === 0 ? name : name.toUpperCase(), 1, {
        id: next() & 0xffff,
        recursionDesired: next() % 2 === 0,
        authenticData: next() % 2 === 0,
        checkingDisabled: next() % 2 === 0,
        ...(next() % 2 === 0 ? { edns: { udpSize: 1232, version: 0, dnssecOk: next() % 2 === 0, options: [] } } : {}),
      }),
    )!
    const ageS = next() % 3 === 0 ? 0 : next() % 1200
    const staleTtlS = next() % 4 === 0 ? 30 : undefined
    const expected = new Uint8Array(prepared.wire.length)
    writeAnswer(prepared, expected, 0, query, ageS, staleTtlS)
    const length = held.write(buffer, query, ageS, staleTtlS)
    expect(Buffer.compare(buffer.octets.subarray(0, length), expected)).toBe(0)
    expect(held.isFor(query.wire, 12, query.questionEnd - 4, 1, 3)).toBe(true)
    expect(held.size).toBe(size)
  }
})
