import { expect, it } from 'vitest'
import { reverseName } from '../../src/dns/reverse-name.ts'

it('turns addresses round', () => {
  expect(reverseName('192.168.1.10')).toBe('10.1.168.192.in-addr.arpa')
  expect(reverseName('2001:db8::567:89ab')).toBe(
    'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa',
  )
  expect(reverseName('nas')).toBeUndefined()
})
