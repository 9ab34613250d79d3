import { describe, expect, it } from 'vitest'
import { className, extendedErrorName, rcodeName, TYPE, TYPE_NAME, typeName, typeNumber } from '../../src/dns/codes.ts'

describe('codes', () => {
  it('names types both ways, unknown ones by number (RFC 3597 §5)', () => {
    expect(TYPE_NAME[TYPE.SVCB]).toBe('SVCB')
    expect(typeName(65_400)).toBe('TYPE65400')
    expect(typeNumber('aaaa')).toBe(28)
    expect(typeNumber('TYPE65400')).toBe(65_400)
    for (const type of Object.values(TYPE)) expect(typeNumber(typeName(type))).toBe(type)
  })

  it.each(['', 'TYPE', 'TYPE65536', 'TYPE-1', 'TYPE1x', 'toString', 'AAAAA'])('knows no type %j', (text) => {
    expect(typeNumber(text)).toBeUndefined()
  })

  it('names classes, rcodes and extended errors', () => {
    expect([className(1), className(4711)]).toEqual(['IN', 'CLASS4711'])
    expect([rcodeName(3), rcodeName(16), rcodeName(99)]).toEqual(['NXDOMAIN', 'BADVERS', 'RCODE99'])
    expect([extendedErrorName(3), extendedErrorName(4711)]).toEqual(['stale answer', 'extended error 4711'])
  })
})
