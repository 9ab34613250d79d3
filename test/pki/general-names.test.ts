import { describe, expect, it } from 'vitest'
import { DerReader, TAG } from '../../src/pki/der-reader.ts'
import { buildGeneralNames, isDnsName, isEmail, isUri, parseGeneralNames } from '../../src/pki/general-names.ts'

const bytes = (hex: string): Uint8Array => Buffer.from(hex.replaceAll(' ', ''), 'hex')

describe('names in certificates', () => {
  it.each([
    'a',
    'a.example',
    'A.Example',
    'xn--caf-dma.example',
    '_dns.a.example',
    '*.a.example',
    `${'a'.repeat(63)}.example`,
    '1.a',
  ])('%s is a DNS name', (name) => {
    expect(isDnsName(name)).toBe(true)
  })

  it.each([
    '',
    '.',
    'a.',
    '.a',
    'a..b',
    'a b',
    'a\0.b',
    'a\n',
    'café.example',
    '-a.b',
    'a-.b',
    '*',
    '*.',
    '**.a',
    'a.*.b',
    '*a.b',
    '192.0.2.1',
    'a.1',
    `${'a'.repeat(64)}.b`,
    'a.'.repeat(127) + 'aa',
  ])('%j is not', (name) => {
    expect(isDnsName(name)).toBe(false)
  })

  it('knows e-mail addresses and URIs', () => {
    expect(['noc@isp.example', 'a.b+c@d'].map(isEmail)).toEqual([true, true])
    expect(['noc', '@a', 'a@', 'a@b@c', 'a b@c', '*', '"a"@b', 'a@*.b', 'a@b\r'].map(isEmail)).toEqual(
      Array(9).fill(false),
    )
    expect(['https://a.example/x', 'urn:a:b', 'sip:a@b'].map(isUri)).toEqual([true, true, true])
    expect(['', '*', 'a.example', '//a', 'https://', 'http://a b', 'http://é.example'].map(isUri)).toEqual(
      Array(7).fill(false),
    )
  })

  it('writes and reads every kind', () => {
    const names = {
      dnsNames: ['a.example'],
      emails: ['noc@a.example'],
      uris: ['urn:a:b'],
      ipAddresses: ['192.0.2.1', 'fd00::1'],
    }
    const read = parseGeneralNames(DerReader.over(buildGeneralNames(names), TAG.sequence))
    expect(read).toEqual({ ...names, otherNames: 0 })
  })

  it.each([
    [{ dnsNames: ['a\0.example'] }, '"a\\u0000.example" is not a DNS name'],
    [{ emails: ['*'] }, '"*" is not an e-mail address'],
    [{ uris: ['x'] }, '"x" is not a URI'],
    [{ ipAddresses: ['fe80::1%eth0'] }, '"fe80::1%eth0" is not an IP address'],
  ])('does not write %j', (names, message) => {
    expect(() => buildGeneralNames(names)).toThrow(message)
  })

  it('counts the kinds it has no list for, and refuses addresses of odd length', () => {
    const names = bytes('30 08  88 03 2a0304  a4 01 30')
    expect(parseGeneralNames(DerReader.over(names, TAG.sequence)).otherNames).toBe(2)
    const odd = bytes('30 05  87 03 010203')
    expect(() => parseGeneralNames(DerReader.over(odd, TAG.sequence))).toThrow('3 bytes')
    const latin1 = bytes('30 03  82 01 e9')
    expect(() => parseGeneralNames(DerReader.over(latin1, TAG.sequence))).toThrow('above 127')
  })
})
