import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isUnder, lowerName, nameToWire, readName, skipName, skipPlainName } from '../../src/dns/name.ts'
import { hex, hexOf } from './golden.ts'

/** Twelve octets stand before every name in a message; pointers count from there. */
const after = (text: string): Uint8Array => hex(`000000000000000000000000 ${text}`)

describe('names from the wire', () => {
  it('reads labels and the root', () => {
    expect(readName(after('03777777 076578616d706c65 00'), 12)).toBe('www.example')
    expect(readName(after('00'), 12)).toBe('.')
  })

  it('writes dots inside labels, backslashes and what cannot be printed with escapes (RFC 1035 §5.1)', () => {
    expect(readName(after('03 612e62 03 5c2000 02 c3a9 00'), 12)).toBe('a\\.b.\\\\\\032\\000.\\195\\169')
  })

  it('follows pointers backwards only (RFC 1035 §4.1.4)', () => {
    const wire = after('03777777 00 0161 c00c 0162 c011')
    expect(readName(wire, 17)).toBe('a.www')
    expect(readName(wire, 21)).toBe('b.a.www')
    expect(skipName(wire, 21)).toBe(25)
  })

  it.each([
    ['itself', 'c00c'],
    ['forwards', 'c00e 00'],
    ['into its own labels', '0161 c00c'],
    ['into the header', 'c004'],
  ])('refuses a pointer to %s', (_, text) => {
    expect(readName(after(text), 12)).toBeUndefined()
  })

  it('takes sixteen pointers in a row and no more', () => {
    const chain = Array.from(
      { length: 17 },
      (_, index) => `c0${(13 + index * 2 - (index === 0 ? 1 : 2)).toString(16).padStart(2, '0')}`,
    )
    const wire = after(`00 ${chain.join('')}`)
    expect(readName(wire, 13 + 15 * 2)).toBe('.')
    expect(readName(wire, 13 + 16 * 2)).toBeUndefined()
  })

  it.each([
    ['a label that ends after the packet', '05616263'],
    ['no end', '0161'],
    ['half a pointer', 'c0'],
    ['label type 01', '40'],
    ['label type 10', '80'],
    ['256 octets', `${'0161'.repeat(127)}01 61 00`],
  ])('refuses %s', (_, text) => {
    expect(readName(after(text), 12)).toBeUndefined()
    expect(skipName(after(text), 12)).toBe(-1)
    expect(skipPlainName(after(text), 12)).toBe(-1)
  })

  it('takes the longest name there is', () => {
    const wire = after(`${'0161'.repeat(127)} 00`)
    expect(readName(wire, 12)).toHaveLength(253)
    expect(skipName(wire, 12)).toBe(wire.length)
  })

  it('has no pointers where none are allowed', () => {
    expect(skipPlainName(after('0161 c00c'), 12)).toBe(-1)
  })
})

describe('names from text', () => {
  it.each([
    ['www.example.com', '03777777076578616d706c6503636f6d00'],
    ['www.example.com.', '03777777076578616d706c6503636f6d00'],
    ['.', '00'],
    ['a\\.b.c', '03612e62016300'],
    ['\\000\\255.\\\\', '0200ff015c00'],
    ['_dns.x', '045f646e73017800'],
  ])('%s', (text, octets) => {
    expect(hexOf(nameToWire(text)!)).toBe(octets)
  })

  it.each([
    '',
    '..',
    '.a',
    'a..b',
    'a b',
    'bücher.example',
    'a\\',
    'a\\25',
    'a\\256',
    'a\\1x.b',
    `${'a'.repeat(64)}.b`,
    `${'abc.'.repeat(63)}abc`,
    'x'.repeat(5000),
  ])('refuses %j', (text) => {
    expect(nameToWire(text)).toBeUndefined()
  })

  it('takes labels of 63 and names of 255 octets', () => {
    expect(nameToWire('a'.repeat(63))).toHaveLength(65)
    expect(nameToWire(`${'abc.'.repeat(63)}a`)).toHaveLength(255)
    expect(nameToWire(`${'abc.'.repeat(63)}a.`)).toHaveLength(255)
  })

  it('survives the way to text and back, whatever the octets', () => {
    const label = fc.uint8Array({ minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), (labels) => {
        const wire = Uint8Array.from([...labels.flatMap((octets) => [octets.length, ...octets]), 0])
        return hexOf(nameToWire(readName(wire, 0)!)!) === hexOf(wire)
      }),
      { seed: 1035 },
    )
  })

  it('lowers ASCII letters only', () => {
    expect(hexOf(lowerName(hex('03 41 5a 5b 02 c3 89 00')))).toBe('03617a5b02c38900')
  })
})

describe('isUnder', () => {
  it.each([
    ['resolver.arpa', 'resolver.arpa', true],
    ['_dns.Resolver.ARPA', 'resolver.arpa', true],
    ['_dns.resolver.arpa.', 'resolver.arpa', true],
    ['myresolver.arpa', 'resolver.arpa', false],
    ['arpa', 'resolver.arpa', false],
    ['a\\.resolver.arpa', 'resolver.arpa', false],
    ['a\\\\.resolver.arpa', 'resolver.arpa', true],
    ['example', '.', true],
    ['.', '.', true],
    ['.', 'example', false],
  ])('%s under %s: %s', (name, zone, expected) => {
    expect(isUnder(name, zone)).toBe(expected)
  })
})
