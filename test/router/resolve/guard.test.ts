import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { EDNS_OPTION, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import type { Listener } from '../../../src/router/listen/listener.ts'
import { dotListener, tcpListener } from '../../../src/router/listen/tcp.ts'
import { udpListener } from '../../../src/router/listen/udp.ts'
import { createGuard } from '../../../src/router/resolve/guard.ts'
import type { Outcome, Transport } from '../../../src/router/resolve/resolver.ts'
import { answerOf } from '../../../src/router/upstream/wire.ts'
import { silentLog } from '../../support/log.ts'
import { queryOf, queryWire, resolverOf, responseWire } from '../../support/query.ts'
import { askUdp, LOOPBACK, tcpClient, tlsClient, within } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

const NEVER = new AbortController().signal
const wire = queryWire('a.example')

function guarded(allow: readonly string[]) {
  const inside = resolverOf(({ view }) => answerOf(responseWire(view.wire, ['192.0.2.1']), 'inside', 'unauthenticated'))
  const guard = createGuard(allow).layer(inside)
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

  it.each([
    '192.0.2.1',
    '172.32.0.1',
    '100.64.0.1',
    '100.127.255.255',
    '100.128.0.1',
    '11.0.0.1',
    '2001:db8::1',
    'fe00::1',
    '::',
  ])('not lan: %s', (address) => {
    expect(ask(address)).toMatchObject({ from: 'guard' })
  })

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

describe('SEC-1: a client that may not ask, on a real socket', () => {
  const inside = resolverOf(() => {
    throw new Error('it was asked')
  })
  const chain = createGuard(['192.0.2.0/24']).layer(inside)
  const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [] }
  const asked = queryWire('a.example', TYPE.A, { edns })
  const context = { clock: systemClock, log: silentLog }
  /** REFUSED with extended error 18 and nothing else. */
  const expectRefusal = (wire: Uint8Array): void => {
    const message = parseMessage(wire)
    expect(message).toMatchObject({ id: 0x1234, rcode: RCODE.REFUSED, answers: [] })
    expect(message?.edns?.options).toEqual([{ code: EDNS_OPTION.EXTENDED_ERROR, data: Uint8Array.of(0, 18) }])
  }
  const started = async <L extends Listener>(listener: L): Promise<L> => {
    await listener.start(chain)
    onTestFinished(() => listener.stop(0))
    return listener
  }

  it('UDP: REFUSED with extended error 18', async () => {
    const { endpoint } = await started(udpListener(LOOPBACK, context))
    expectRefusal(await askUdp(endpoint, asked))
  })

  it('TCP: REFUSED with extended error 18', async () => {
    const { endpoint } = await started(tcpListener(LOOPBACK, context))
    expectRefusal(await (await tcpClient(endpoint)).ask(asked))
  })

  it('DoT: the connection is closed', async () => {
    const authority = await TestAuthority.create()
    const { endpoint } = await started(dotListener(LOOPBACK, await authority.material(), context))
    const client = await tlsClient(endpoint)
    client.send(asked)
    await within('the end of the connection', client.closed)
    expect(client.messages).toEqual([])
  })
})

describe('explain', () => {
  const { explain, mayAsk } = createGuard(['lan'])
  const question = { name: 'a.example', type: TYPE.A }

  it('says who may ask, and decides about the others', () => {
    expect(explain(question, '192.168.1.7')).toEqual({
      layer: 'access',
      says: '192.168.1.7 may ask (access.allow is lan)',
      decides: false,
    })
    expect(explain(question, '192.0.2.1')).toMatchObject({ decides: true })
  })

  it('tells listeners before they work', () => {
    expect([mayAsk('fe80::1'), mayAsk('2001:db8::1')]).toEqual([true, false])
  })
})
