import { describe, expect, it } from 'vitest'
import { FrameReader, frameOf, writeFrame } from '../../src/dns/frame.ts'
import { golden, hex, hexOf } from './golden.ts'
import { randomNumbers } from './hostile.ts'

function drain(reader: FrameReader): string[] {
  const messages: string[] = []
  for (let message = reader.next(); message; message = reader.next()) messages.push(hexOf(message))
  return messages
}

function readInPieces(stream: Uint8Array, cuts: readonly number[]): string[] {
  const reader = new FrameReader()
  const ends = [...cuts, stream.length]
  return ends.flatMap((end, index) => {
    reader.push(stream.subarray(ends[index - 1] ?? 0, end))
    return drain(reader)
  })
}

const messages = ['query-a', 'query-padded', 'ddr-answer'].map(golden)
const stream = Buffer.concat(messages.map(frameOf))
const expected = messages.map(hexOf)

describe('FrameReader', () => {
  it('DOT-3: reads the same messages wherever the stream is cut once', () => {
    for (let cut = 0; cut <= stream.length; cut++) expect(readInPieces(stream, [cut])).toEqual(expected)
  })

  it('DOT-3: reads the same messages wherever the stream is cut twice', () => {
    const short = stream.subarray(0, 35 + 12)
    for (let first = 0; first <= short.length; first++) {
      for (let second = first; second <= short.length; second++) {
        expect(readInPieces(short, [first, second])).toEqual(expected.slice(0, 1))
      }
    }
  })

  it('DOT-3: reads octet by octet', () => {
    expect(readInPieces(stream, Array.from(stream.keys()))).toEqual(expected)
  })

  it('reads in random pieces', () => {
    const next = randomNumbers(7766)
    for (let round = 0; round < 300; round++) {
      const cuts = Array.from({ length: next() % 12 }, () => next() % stream.length).sort((a, b) => a - b)
      expect(readInPieces(stream, cuts)).toEqual(expected)
    }
  })

  it('gives a view of the chunk when the message lies inside it', () => {
    const reader = new FrameReader()
    reader.push(stream)
    expect(reader.next()!.buffer).toBe(stream.buffer)
  })

  it('a message in pieces stays as it was when later chunks come', () => {
    const reader = new FrameReader()
    const chunk = Buffer.from(stream)
    reader.push(chunk.subarray(0, 10))
    expect(reader.next()).toBeUndefined()
    reader.push(chunk.subarray(10))
    const first = reader.next()!
    chunk.fill(0)
    expect(hexOf(first)).toBe(expected[0])
  })

  it('continues where the caller stopped', () => {
    const reader = new FrameReader()
    reader.push(stream)
    expect(hexOf(reader.next()!)).toBe(expected[0])
    reader.push(stream)
    expect(drain(reader)).toEqual([...expected.slice(1), ...expected])
    expect(reader.idle).toBe(true)
  })

  it('takes the largest message, in small pieces', () => {
    const large = frameOf(new Uint8Array(65_535).fill(7))
    expect(
      readInPieces(
        large,
        Array.from({ length: 655 }, (_, index) => index * 100),
      ),
    ).toHaveLength(1)
  })

  it.each([
    ['an empty message', '0000'],
    ['a message shorter than a header', '000b 0000000000000000000000'],
  ])('reports %s and reads no further', (_, text) => {
    for (const cut of [0, 1, 2]) {
      const reader = new FrameReader()
      const bytes = Buffer.concat([hex(text), stream])
      reader.push(bytes.subarray(0, cut))
      drain(reader)
      reader.push(bytes.subarray(cut))
      expect(drain(reader)).toEqual([])
      expect(reader.violation).toMatch(/shorter than its header/)
      reader.push(stream)
      expect(drain(reader)).toEqual([])
    }
  })

  it('says whether a stream ended between messages', () => {
    const reader = new FrameReader()
    expect(reader.idle).toBe(true)
    reader.push(stream.subarray(0, 1))
    drain(reader)
    expect(reader.idle).toBe(false)
  })
})

describe('writeFrame', () => {
  it('puts the length before the message', () => {
    const target = new Uint8Array(40)
    expect(writeFrame(target, 1, messages[0]!)).toBe(36)
    expect(hexOf(target.subarray(1, 36))).toBe(`0021${expected[0]}`)
  })

  it('refuses what has no length', () => {
    expect(() => frameOf(new Uint8Array(65_536))).toThrow(RangeError)
  })
})
