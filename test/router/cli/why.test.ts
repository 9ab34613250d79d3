import { describe, expect, it } from 'vitest'
import { TYPE } from '../../../src/dns/codes.ts'
import { whyQuestionOf, whyText } from '../../../src/router/cli/why.ts'

describe('whyQuestionOf', () => {
  it('has a type and a client when none is given', () => {
    expect(whyQuestionOf({ words: ['ads.example'], values: {} })).toEqual({
      name: 'ads.example',
      type: TYPE.A,
      client: '127.0.0.1',
    })
    expect(whyQuestionOf({ words: ['ads.example', 'https'], values: { client: '::ffff:192.168.1.7' } })).toEqual({
      name: 'ads.example',
      type: TYPE.HTTPS,
      client: '192.168.1.7',
    })
  })

  it.each([
    [['a..b'], {}, 'a..b is not a domain name'],
    [['a', 'B'], {}, 'B is not a record type'],
    [['a'], { client: 'kids' }, 'kids is not an IP address'],
  ])('refuses %j %j', (words, values, message) => {
    expect(() => whyQuestionOf({ words, values })).toThrow(message)
  })
})

it('whyText marks the line that decides', () => {
  const reasons = [
    { layer: 'access', says: 'may ask', decides: false },
    { layer: 'block', says: 'blocked', decides: true },
  ]
  expect(whyText({ name: 'ads.example', type: TYPE.A, client: '192.168.1.7', reasons })).toBe(
    'ads.example A for 192.168.1.7\n  access  may ask\n> block   blocked',
  )
})
