import { describe, expect, it } from 'vitest'
import { messageEnd, walkRecords } from '../../src/dns/records.ts'
import { MessageView } from '../../src/dns/view.ts'
import { golden, hex } from './golden.ts'

describe('walkRecords', () => {
  it('steps over all sections', () => {
    const wire = hex(`0000 8180 0001 0001 0001 0001  0161 00 0001 0001
      c00c 0001 0001 0000003c 0004 c0000201   00 0002 0001 ffffffff 0001 00   00 0029 04d0 00008000 0000`)
    const records = walkRecords(MessageView.over(wire)!)
    const seen = []
    while (records.next())
      seen.push([records.section, records.nameStart, records.type, records.class, records.ttl, records.rdataLength])
    expect(seen).toEqual([
      ['answer', 19, 1, 1, 60, 4],
      ['authority', 35, 2, 1, 0xffff_ffff, 1],
      ['additional', 47, 41, 1232, 0x8000, 0],
    ])
    expect([records.malformed, records.end, messageEnd(wire)]).toEqual([false, wire.length, wire.length])
    expect(records.next()).toBe(false)
  })

  it('walks over more than one question', () => {
    expect(
      messageEnd(hex('0000 0100 0002 0001 0000 0000 00 0001 0001 0161 00 0001 0001 00 0001 0001 00000000 0000')),
    ).toBe(35)
    expect(messageEnd(hex('0000 0100 0003 0001 0000 0000 00 0001 0001 0161 00 0001 0001 00 0001'))).toBe(-1)
  })

  it('stops for good at what is no record', () => {
    const records = walkRecords(
      MessageView.over(hex('0000 8180 0001 0002 0000 0000 00 0001 0001 00 0001 0001 00000000 0005 00'))!,
    )
    expect([records.next(), records.malformed, records.next()]).toEqual([false, true, false])
  })

  it('says where a message ends, whatever follows', () => {
    const wire = golden('ddr-answer')
    expect(messageEnd(wire)).toBe(250)
    expect(messageEnd(Buffer.concat([wire, Buffer.alloc(3)]))).toBe(250)
    expect(messageEnd(wire.subarray(0, 249))).toBe(-1)
    expect(messageEnd(new Uint8Array(11))).toBe(-1)
    expect(messageEnd(hex('0000 0100 0001 000000000000 ff'))).toBe(-1)
  })
})
