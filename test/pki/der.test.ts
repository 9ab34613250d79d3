import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bitLengthOf,
  bitsOf,
  booleanOf,
  countOf,
  DerReader,
  type DerValue,
  NotDer,
  objectIdOf,
  TAG,
  timeOf,
} from '../../src/pki/der-reader.ts'
import { integer, namedBits, objectId, octetString, sequence, setOf, time } from '../../src/pki/der-writer.ts'

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex')
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
const value = (text: string, tag: number = bytes(text)[0]!): DerValue => DerReader.whole(bytes(text), tag)

describe('DER structure', () => {
  it.each([
    ['nothing', ''],
    ['no length', '30'],
    ['an indefinite length', '30 80 00 00'],
    ['a length cut off', '30 82 01'],
    ['a length in more bytes than needed', '30 81 02 05 00'],
    ['a length with a leading zero', '30 82 00 80'],
    ['a length of five bytes', '30 85 01 00 00 00 00'],
    ['a value past the end', '30 05 05 00'],
    ['bytes after the end', '30 02 05 00 00'],
    ['another tag', '31 02 05 00'],
  ])('refuses %s', (_, text) => {
    expect(() => DerReader.over(bytes(text), TAG.sequence)).toThrow(NotDer)
  })

  it('refuses a tag of several bytes, a missing value and a field nobody asked for', () => {
    expect(() => DerReader.over(bytes('30 03 1f 20 00'), TAG.sequence).take()).toThrow('longer than one byte')
    expect(() => DerReader.over(bytes('30 00'), TAG.sequence).take()).toThrow('missing')
    expect(() => DerReader.over(bytes('30 02 05 00'), TAG.sequence).end()).toThrow('2 bytes too many')
  })

  it.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('writes and reads a value of %i bytes', (length) => {
    const content = new Uint8Array(length).fill(7)
    expect(hex(DerReader.whole(octetString(content), TAG.octetString).content)).toBe(hex(content))
  })

  it('sorts a set', () => {
    expect(hex(setOf([bytes('02 01 05'), bytes('01 01 ff'), bytes('02 01 01')]))).toBe('31090101ff020101020105')
  })

  it('never reads anything else than it wrote', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (contents) => {
        const reader = DerReader.over(sequence(...contents.map(octetString)), TAG.sequence)
        expect([...reader.rest()].map(({ content }) => hex(content))).toEqual(contents.map(hex))
      }),
      { seed: 5280 },
    )
  })
})

describe('DER values', () => {
  it.each([
    ['2.5.29.17', '0603551d11'],
    ['1.2.840.113549.1.9.14', '06092a864886f70d01090e'],
    ['2.999.3', '0603883703'],
    ['0.39', '060127'],
    ['2.25.340282366920938463463374607431768211455', `06146983${'ff'.repeat(17)}7f`],
  ])('writes and reads %s', (dotted, encoded) => {
    expect(hex(objectId(dotted))).toBe(encoded)
    expect(objectIdOf(value(encoded))).toBe(dotted)
  })

  it.each(['06 00', '06 02 55 80', '06 02 80 01', `06 41 2a ${'81'.repeat(63)} 01`])(
    'refuses the object identifier %s',
    (text) => {
      expect(() => objectIdOf(value(text))).toThrow(NotDer)
    },
  )

  it('counts the bits of a number', () => {
    expect(
      ['02 01 00', '02 01 01', '02 01 7f', '02 02 00 80', '02 02 00 ff', '02 02 01 00'].map((text) =>
        bitLengthOf(value(text)),
      ),
    ).toEqual([0, 1, 7, 8, 8, 9])
  })

  it.each(['02 00', '02 02 00 7f', '02 02 ff 80', '02 01 80'])('refuses the count %s', (text) => {
    expect(() => countOf(value(text))).toThrow(NotDer)
    expect(() => bitLengthOf(value(text))).toThrow(NotDer)
  })

  it('writes numbers in the fewest bytes', () => {
    expect([bytes('00 00 7f'), bytes('80'), bytes('00')].map((magnitude) => hex(integer(magnitude)))).toEqual([
      '02017f',
      '02020080',
      '020100',
    ])
  })

  it('reads TRUE and FALSE, and nothing in between', () => {
    expect([booleanOf(value('01 01 ff')), booleanOf(value('01 01 00'))]).toEqual([true, false])
    expect(() => booleanOf(value('01 01 01'))).toThrow(NotDer)
  })

  it('writes and reads named bits without trailing zeros', () => {
    expect([[], [0], [0, 2], [5, 6], [8]].map((bits) => hex(namedBits(bits)))).toEqual([
      '030100',
      '03020780',
      '030205a0',
      '03020106',
      '0303070080',
    ])
    expect(bitsOf(value('03 03 07 00 80'))).toEqual([8])
    expect(() => bitsOf(value('03 02 07 c0'))).toThrow(NotDer)
    expect(() => bitsOf(value('03 01 03'))).toThrow(NotDer)
  })

  it.each([
    ['1950-01-01T00:00:00Z', '500101000000Z'],
    ['2049-12-31T23:59:59Z', '491231235959Z'],
    ['2050-01-01T00:00:00Z', '20500101000000Z'],
    ['1949-12-31T23:59:59Z', '19491231235959Z'],
    ['9999-12-31T23:59:59Z', '99991231235959Z'],
  ])('writes and reads %s as %s', (instant, text) => {
    const encoded = time(Date.parse(instant))
    const { tag, content } = DerReader.whole(encoded, encoded[0]!)
    expect(Buffer.from(content).toString()).toBe(text)
    expect(timeOf({ tag, content, der: encoded })).toBe(Date.parse(instant))
  })

  it.each(['260230000000Z', '261301000000Z', '2601010000Z', '260101000000+0100', '260101240000Z', '26010100000Z'])(
    'refuses the time %s',
    (text) => {
      expect(() => timeOf({ tag: TAG.utcTime, content: Buffer.from(text), der: new Uint8Array() })).toThrow(NotDer)
    },
  )
})
