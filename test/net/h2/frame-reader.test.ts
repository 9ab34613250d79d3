import { describe, expect, it } from 'vitest'
import { ConnectionError } from '../../../src/net/h2/error.ts'
import { FrameReader } from '../../../src/net/h2/frame-reader.ts'
import { PREFACE, PrefaceReader } from '../../../src/net/h2/preface.ts'
import { randomNumbers } from '../../dns/hostile.ts'
import { data, frame, get, ping, settings } from '../../support/http2-wire.ts'

function read(chunks: readonly Buffer[]): string[] {
  const reader = new FrameReader()
  const found: string[] = []
  for (const chunk of chunks) {
    reader.push(chunk)
    while (reader.next()) {
      const { type, flags, streamId, bytes, start, end } = reader
      found.push(`${type} ${flags} ${streamId} ${bytes.toString('hex', start, end)}`)
    }
  }
  expect(reader.idle).toBe(true)
  return found
}

const MANY = [settings([3, 100]), settings(), get(1), data(3, Buffer.alloc(300, 7)), ping(), frame(0xee, 0xff, 5)]
const STREAM = Buffer.concat(MANY)

describe('FrameReader', () => {
  it('RFC 9113 section 4.1: finds the same frames at every split', () => {
    const whole = read([STREAM])
    expect(whole.length).toBe(MANY.length)
    for (let at = 0; at <= STREAM.length; at++)
      expect(read([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(whole)
    expect(read(Array.from(STREAM, (_, at) => STREAM.subarray(at, at + 1)))).toEqual(whole)
  })

  it('does not look at the reserved bit', () => {
    const bytes = Buffer.from(ping())
    bytes[5] = 0x80
    expect(read([bytes])).toEqual([`6 0 0 ${Buffer.from('12345678').toString('hex')}`])
  })

  it('what the caller has left stays, before what comes', () => {
    const reader = new FrameReader()
    reader.push(Buffer.concat([ping('aaaaaaaa'), ping('bbbbbbbb').subarray(0, 12)]))
    reader.push(ping('bbbbbbbb').subarray(12))
    const texts: string[] = []
    while (reader.next()) texts.push(reader.bytes.toString('latin1', reader.start, reader.end))
    expect(texts).toEqual(['aaaaaaaa', 'bbbbbbbb'])
  })

  it.each([['whole'], ['octet by octet']])(
    'RFC 9113 section 4.2: a frame that is too long is refused by its header: %s',
    (how) => {
      const reader = new FrameReader()
      const head = Buffer.from('004001000000000001', 'hex')
      expect(() => {
        for (const chunk of how === 'whole' ? [head] : Array.from(head, (octet) => Buffer.of(octet))) {
          reader.push(chunk)
          reader.next()
        }
      }).toThrow(expect.objectContaining({ code: 'FRAME_SIZE_ERROR' }))
    },
  )

  it('a view of a payload stays what it was', () => {
    const reader = new FrameReader()
    const views: Buffer[] = []
    for (const chunk of [ping('aaaaaaaa'), ping('bbbbbbbb').subarray(0, 4), ping('bbbbbbbb').subarray(4), ping()]) {
      reader.push(chunk)
      while (reader.next()) views.push(reader.bytes.subarray(reader.start, reader.end))
    }
    expect(views.map(String)).toEqual(['aaaaaaaa', 'bbbbbbbb', '12345678'])
  })

  it('hostile streams are cut somehow or refused with FRAME_SIZE_ERROR, and no more than a frame is held', () => {
    const next = randomNumbers(9113)
    let frames = 0
    for (let round = 0; round < 100_000; round++) {
      const bytes = Buffer.from(MANY[next() % MANY.length]!)
      for (let changes = next() % 3; changes > 0; changes--) bytes[next() % Math.min(bytes.length, 12)] = next() & 0xff
      const reader = new FrameReader()
      try {
        for (let at = 0; at < bytes.length; ) {
          const size = 1 + (next() % bytes.length)
          reader.push(bytes.subarray(at, at + size))
          at += size
          for (; reader.next(); frames++) if (reader.end > reader.bytes.length) expect.fail('a frame beyond its bytes')
        }
      } catch (error) {
        if (!(error instanceof ConnectionError) || error.code !== 'FRAME_SIZE_ERROR') throw error
      }
    }
    expect(frames).toBeGreaterThan(30_000)
  })
})

describe('PrefaceReader', () => {
  it('RFC 9113 section 3.4: takes the preface at every split, and no more', () => {
    for (let at = 0; at <= PREFACE.length; at++) {
      const preface = new PrefaceReader()
      expect(preface.take(PREFACE.subarray(0, at))).toBe(at)
      expect(preface.done).toBe(at === PREFACE.length)
      expect(preface.take(Buffer.concat([PREFACE.subarray(at), settings()]))).toBe(PREFACE.length - at)
      expect(preface.done).toBe(true)
    }
  })

  it('refuses the first octet that differs', () => {
    for (let at = 0; at < PREFACE.length; at++) {
      const wrong = Buffer.from(PREFACE)
      wrong[at]! ^= 0x20
      expect(() => new PrefaceReader().take(wrong.subarray(0, at + 1))).toThrow(
        expect.objectContaining({ code: 'PROTOCOL_ERROR' }),
      )
    }
  })
})
