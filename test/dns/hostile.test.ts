import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { prepareAnswer, writeAnswer } from '../../src/dns/answer.ts'
import { buildMessage, parseMessage } from '../../src/dns/message.ts'
import { nameToWire, readName, skipName } from '../../src/dns/name.ts'
import { examineQuery } from '../../src/dns/query.ts'
import { messageEnd } from '../../src/dns/records.ts'
import { encodeSvcb, parseSvcb, svcbText } from '../../src/dns/svcb.ts'
import { MessageView } from '../../src/dns/view.ts'
import { MESSAGES, PACKET_TARGETS } from '../support/fuzz-targets.ts'
import { hexOf } from './golden.ts'
import { chainedQuestions, chainedRecords, hostilePackets, malformedRecords } from './hostile.ts'

const PACKETS = 30_000
const LARGEST = new Uint8Array(65_535)

describe('hostile packets', () => {
  it('start from samples that are in order', () => {
    for (const sample of MESSAGES) expect(parseMessage(sample)).toBeDefined()
  })

  it('errors are answered with a reply that is itself well-formed', () => {
    for (const packet of hostilePackets(1, PACKETS, MESSAGES)) {
      const examined = examineQuery(packet)
      if (examined.kind === 'error') expect(messageEnd(examined.reply)).toBe(examined.reply.length)
    }
  })

  it('what parses can be built, and then parses to the same', () => {
    let parsed = 0
    for (const packet of hostilePackets(2, PACKETS, MESSAGES)) {
      const message = parseMessage(packet)
      if (!message) continue
      parsed++
      const again = buildMessage(message)
      expect(hexOf(buildMessage(parseMessage(again)!))).toBe(hexOf(again))
    }
    expect(parsed).toBeGreaterThan(PACKETS / 20)
  })

  it('what is prepared stays a well-formed response when written', () => {
    let written = 0
    for (const packet of hostilePackets(3, PACKETS, MESSAGES)) {
      const answer = prepareAnswer(packet)
      if (!answer) continue
      written++
      const end = writeAnswer(answer, LARGEST, 0, MessageView.over(packet)!, 10)
      expect(messageEnd(LARGEST.subarray(0, end))).toBe(end)
    }
    expect(written).toBeGreaterThan(PACKETS / 20)
  })

  it('random names and SVCB records survive the way there and back, if they are any', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (octets) => {
        const name = readName(octets, 0)
        if (name !== undefined) expect(hexOf(nameToWire(name)!)).toBe(hexOf(octets.subarray(0, skipName(octets, 0))))
        const record = parseSvcb(octets)
        if (record) expect([hexOf(encodeSvcb(record)), svcbText(record)]).toEqual([hexOf(octets), expect.any(String)])
      }),
      { seed: 9460, numRuns: 3000 },
    )
  })
})

describe('64 KiB made to be slow', () => {
  const BOUND_MS = 5
  const packets = {
    chainedQuestions: chainedQuestions(),
    chainedRecords: chainedRecords(),
    malformedRecords: malformedRecords(),
  }

  it.each(
    Object.keys(PACKET_TARGETS).flatMap((entry) =>
      Object.entries(packets).map(([kind, wire]) => [entry, kind, wire] as const),
    ),
  )(`%s over %s takes less than ${BOUND_MS} ms`, (entry, _, wire) => {
    expect(wire.length).toBeGreaterThan(65_500)
    const run = (): number => {
      const start = performance.now()
      PACKET_TARGETS[entry]!.run(wire)
      return performance.now() - start
    }
    // The best of five: the machine may be busy with something else.
    expect(Math.min(...Array.from({ length: 5 }, run))).toBeLessThan(BOUND_MS)
  })

  it.each(Object.entries(packets))('parseMessage refuses %s', (_, wire) => {
    expect(parseMessage(wire)).toBeUndefined()
  })
})
