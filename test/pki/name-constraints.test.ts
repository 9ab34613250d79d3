import { beforeAll, describe, expect, it } from 'vitest'
import { type Certificate, parseCertificate } from '../../src/pki/certificate.ts'
import { der, sequence, text } from '../../src/pki/der-writer.ts'
import { nameConstraints, outsideConstraints } from '../../src/pki/name-constraints.ts'
import { Authority } from './authority.ts'

const dns = (name: string): Uint8Array => sequence(text(0x82, name))
const permitted = (...subtrees: Uint8Array[]): Uint8Array => sequence(der(0xa0, ...subtrees))
const excluded = (...subtrees: Uint8Array[]): Uint8Array => sequence(der(0xa1, ...subtrees))

describe('name constraints (RFC 5280 §4.2.1.10)', () => {
  let leaf: Certificate
  beforeAll(async () => {
    leaf = parseCertificate(await (await Authority.create()).makeLeaf())
  })
  const withNames = (names: Partial<Certificate>): Certificate => ({ ...leaf, dnsNames: [], ...names })

  it('confines to the names and prefixes given, and excludes unused families', () => {
    const { critical, der: value } = nameConstraints({ dnsNames: ['Home.arpa.'], prefixes: ['192.168.7.9/16'] })
    expect(critical).toBe(true)
    expect(Buffer.from(value).toString('hex')).toBe(
      Buffer.from(
        sequence(
          der(0xa0, dns('home.arpa'), sequence(der(0x87, Uint8Array.of(192, 168, 0, 0, 255, 255, 0, 0)))),
          der(0xa1, sequence(der(0x87, new Uint8Array(32)))),
        ),
      ).toString('hex'),
    )
  })

  it('excludes everything it does not permit', () => {
    const nothing = nameConstraints({ dnsNames: [], prefixes: [] }).der
    expect(outsideConstraints(nothing, leaf)).toBe('"cpe7.isp.example" is among the names it must not certify')
    expect(outsideConstraints(nothing, withNames({ ipAddresses: ['::1'] }))).toContain('"::1"')
    expect(outsideConstraints(nothing, withNames({ ipAddresses: ['127.0.0.1'] }))).toContain('"127.0.0.1"')
  })

  it.each([
    ['home.arpa', 'home.arpa', true],
    ['home.arpa', 'nas.HOME.arpa', true],
    ['home.arpa', 'a.b.home.arpa', true],
    ['home.arpa', '*.home.arpa', true],
    ['home.arpa', 'nothome.arpa', false],
    ['home.arpa', 'arpa', false],
    ['home.arpa', '*.arpa', false],
    ['.home.arpa', 'home.arpa', false],
    ['.home.arpa', 'nas.home.arpa', true],
    ['', 'a.example', true],
  ])('permitting %j lets %s through: %s', (base, name, isFine) => {
    expect(outsideConstraints(permitted(dns(base)), withNames({ dnsNames: [name] })) === undefined).toBe(isFine)
  })

  it.each([
    ['bank.example', 'bank.example', false],
    ['bank.example', 'www.bank.example', false],
    ['bank.example', '*.example', false],
    ['bank.example', 'example', true],
    ['bank.example', 'mybank.example', true],
  ])('excluding %j lets %s through: %s', (base, name, isFine) => {
    expect(outsideConstraints(excluded(dns(base)), withNames({ dnsNames: [name] })) === undefined).toBe(isFine)
  })

  it('compares addresses under their mask', () => {
    const { der: value } = nameConstraints({ dnsNames: ['a'], prefixes: ['10.0.0.0/9', 'fd00::/8'] })
    const isFine = (address: string): boolean =>
      outsideConstraints(value, withNames({ ipAddresses: [address] })) === undefined
    expect(['10.127.255.255', 'fdff::1'].filter(isFine)).toHaveLength(2)
    expect(['10.128.0.0', '11.0.0.1', 'fc00::1', '::1'].filter(isFine)).toEqual([])
  })

  it('refuses kinds of names it cannot compare, once they are constrained', () => {
    const mail = sequence(text(0x81, 'a.example'))
    const directory = sequence(der(0xa4, sequence()))
    expect(outsideConstraints(permitted(mail), leaf)).toBeUndefined()
    expect(outsideConstraints(permitted(mail), withNames({ emails: ['x@a.example'] }))).toContain('not among')
    expect(outsideConstraints(excluded(mail), withNames({ emails: ['x@b.example'] }))).toContain('must not')
    expect(outsideConstraints(permitted(directory), withNames({ subject: '' }))).toBeUndefined()
    expect(outsideConstraints(permitted(directory), withNames({ subject: 'CN=x' }))).toContain('"CN=x"')
  })

  it('refuses what is malformed', () => {
    const oddBlock = sequence(der(0x87, new Uint8Array(5)))
    expect(() => outsideConstraints(permitted(oddBlock), withNames({ ipAddresses: ['::1'] }))).toThrow('odd length')
    const withMinimum = sequence(text(0x82, 'a'), der(0x80, Uint8Array.of(1)))
    expect(() => outsideConstraints(permitted(withMinimum), leaf)).toThrow('3 bytes too many')
  })

  it.each(['', '*.a', 'a b'])('does not confine to %j', (name) => {
    expect(() => nameConstraints({ dnsNames: [name], prefixes: [] })).toThrow('is not a name to confine a CA to')
    expect(() => nameConstraints({ dnsNames: [], prefixes: [name] })).toThrow('is not an address prefix')
  })
})
