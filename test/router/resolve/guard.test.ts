import { describe, expect, it } from 'vitest'
import { RCODE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import { withGuard } from '../../../src/router/resolve/guard.ts'
import type { Outcome, Transport } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../support/query.ts'

const NEVER = new AbortController().signal
const wire = queryWire('a.example')

function guarded(allow: readonly string[]) {
  const inside = resolverOf(({ view }) => answerOf(responseWire(view.wire, ['192.0.2.1']), 'inside', 'unauthenticated'))
  const guard = withGuard(allow)(inside)
  const ask = (address: string, transport: Transport = 'udp'): Outcome | Promise<Outcome> =>
    guard.resolve({ ...queryOf(wire), client: { address, transport } }, NEVER)
  return { inside, ask }
}

describe('SEC-1: who may ask', () => {
  const { ask } = guarded(['lan'])

  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.7',
    '169.254.9.9',
    '::1',
    'fd00::1',
    'fe80::1',
  ])('lan: %s', (address) => expect(ask(address)).toMatchObject({ from: 'inside' }))

  it.each(['192.0.2.1', '172.32.0.1', '100.128.0.1', '11.0.0.1', '2001:db8::1', 'fe00::1', '::'])(
    'not lan: %s',
    (address) => {
      expect(ask(address)).toMatchObject({ from: 'guard' })
    },
  )

  it.each(['', 'unix', '999.1.1.1'])('nobody without an address: %j', (address) => {
    expect(ask(address)).toMatchObject({ from: 'guard' })
  })

  it('addresses and prefixes', () => {
    const { ask: askOther } = guarded(['192.0.2.0/24', '2001:db8::1', '198.51.100.7'])
    for (const address of ['192.0.2.0', '192.0.2.255', '2001:db8::1', '198.51.100.7'])
      expect(askOther(address)).toMatchObject({ from: 'inside' })
    for (const address of ['192.0.3.0', '2001:db8::2', '198.51.100.8', '127.0.0.1', '192.168.1.1'])
      expect(askOther(address)).toMatchObject({ from: 'guard' })
  })

  it('everybody, with a prefix of no bits', () => {
    const { ask: askOther } = guarded(['0.0.0.0/0', '::/0'])
    for (const address of ['192.0.2.1', '255.255.255.255', '2001:db8::1'])
      expect(askOther(address)).toMatchObject({ from: 'inside' })
  })

  it('nobody, with an empty list', () => {
    expect(guarded([]).ask('127.0.0.1')).toMatchObject({ from: 'guard' })
  })
})

describe('the others', () => {
  it.each(['udp', 'tcp'] as const)('are told on %s: REFUSED, extended error 18', (transport) => {
    const { ask, inside } = guarded(['lan'])
    const outcome = ask('192.0.2.1', transport)
    if (outcome instanceof Promise || outcome.kind !== 'answer') throw new Error('no answer')
    expect(outcome.extendedErrors).toEqual([{ code: 18 }])
    expect(outcome.freshS).toBeUndefined()
    expect(parseMessage(outcome.wire)).toMatchObject({ id: 0x1234, rcode: RCODE.REFUSED, answers: [] })
    expect(inside.asked).toBe(0)
  })

  it.each(['dot', 'doh'] as const)('are dropped on %s', (transport) => {
    const { ask, inside } = guarded(['lan'])
    expect(ask('192.0.2.1', transport)).toEqual({ kind: 'drop', reason: 'not-allowed' })
    expect(inside.asked).toBe(0)
  })

  it('keep their verdict over more addresses than are remembered', () => {
    const { ask } = guarded(['10.0.0.0/9'])
    for (let index = 0; index < 10_000; index++) {
      const address = `10.${index % 256}.${index >> 8}.1`
      expect(ask(address)).toMatchObject({ from: index % 256 < 128 ? 'inside' : 'guard' })
    }
  })
})
