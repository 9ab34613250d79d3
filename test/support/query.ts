import { CLASS, TYPE } from '../../src/dns/codes.ts'
import { buildMessage } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import type { Query, Resolver, Transport } from '../../src/router/resolve/resolver.ts'

/** The bytes of a query; `name` in the letter case the test wants. */
export function queryWire(
  name: string,
  type: number = TYPE.A,
  extra: Partial<Parameters<typeof buildMessage>[0]> = {},
): Uint8Array {
  return buildMessage({
    id: 0x1234,
    recursionDesired: true,
    questions: [{ name, type, class: CLASS.IN }],
    ...extra,
  })
}

export function queryOf(wire: Uint8Array, transport: Transport = 'udp', deadlineMs = performance.now() + 5_000): Query {
  return { view: MessageView.over(wire)!, client: { address: '127.0.0.1', transport }, deadlineMs }
}

/** A response with one A record per address, to the question in `query`. */
export function responseWire(query: Uint8Array, addresses: readonly string[], ttl = 300): Uint8Array {
  const view = MessageView.over(query)!
  return buildMessage({
    id: view.id,
    isResponse: true,
    recursionDesired: true,
    recursionAvailable: true,
    questions: [{ name: view.questionName, type: view.questionType, class: view.questionClass }],
    answers: addresses.map((address) => ({
      name: view.questionName,
      type: TYPE.A,
      class: CLASS.IN,
      ttl,
      data: { address },
    })),
  })
}

/** A resolver made of one function, that counts how often it was asked. */
export function resolverOf(resolve: Resolver['resolve'], id = 'test'): Resolver & { asked: number } {
  const self = {
    id,
    asked: 0,
    resolve(query: Query, signal: AbortSignal) {
      self.asked++
      return resolve(query, signal)
    },
  }
  return self
}
