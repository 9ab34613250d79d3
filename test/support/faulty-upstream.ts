import { createHook } from 'node:async_hooks'
import type { Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { TYPE } from '../../src/dns/codes.ts'
import { frameOf } from '../../src/dns/frame.ts'
import { buildMessage } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import { settle } from './manual-clock.ts'
import { queryWire, responseWire } from './query.ts'

/** What an upstream may send instead of an answer, by name. `RIGHT` is what a test looks for, `FORGED` must never come through. */
export const RIGHT = '192.0.2.1'
export const FORGED = '203.0.113.1'

const viewOf = (wire: Uint8Array): MessageView => MessageView.over(wire)!

export const rightAnswer = (wire: Uint8Array): Uint8Array => responseWire(wire, [RIGHT])

/** Replies that answer nothing that was asked. */
export const STRANGERS: Readonly<Record<string, (wire: Uint8Array) => Uint8Array>> = {
  'another id': (wire) => withId(responseWire(wire, [FORGED]), viewOf(wire).id ^ 1),
  'another name': (wire) => withId(responseWire(queryWire('other.example'), [FORGED]), viewOf(wire).id),
  'another type': (wire) =>
    withId(responseWire(queryWire(viewOf(wire).questionName, TYPE.AAAA), [FORGED]), viewOf(wire).id),
  'the question itself': (wire) => wire,
  'no question': (wire) => buildMessage({ id: viewOf(wire).id, isResponse: true }),
  garbage: () => Buffer.alloc(40, 0xff),
}

/** Replies to the question that are no answer. */
export const BROKEN: Readonly<Record<string, (wire: Uint8Array) => Uint8Array>> = {
  'cut off in its last record': (wire) => rightAnswer(wire).subarray(0, -2),
  'a record too many in the counts': (wire) => {
    const reply = rightAnswer(wire)
    reply[7] = 9
    return reply
  },
}

export function cutAnswer(wire: Uint8Array): Uint8Array {
  const reply = responseWire(wire, [])
  reply[2] = reply[2]! | 0x02
  return reply
}

function withId(wire: Uint8Array, id: number): Uint8Array {
  wire[0] = id >> 8
  wire[1] = id
  return wire
}

/** One octet per write. */
export async function drip(socket: Socket, wire: Uint8Array): Promise<void> {
  for (const octet of frameOf(wire)) {
    socket.write(Buffer.of(octet))
    await new Promise<void>((resolve) => void setImmediate(resolve))
  }
}

/** Counts the sockets of this process that were made from now on and are not closed; unreferenced ones too. */
export function openSockets(): () => Promise<number> {
  const open = new Set<number>()
  const hook = createHook({
    init(id, type) {
      // A TLS connection sits on one of these.
      if (type === 'UDPWRAP' || type === 'TCPWRAP') open.add(id)
    },
    destroy(id) {
      open.delete(id)
    },
  }).enable()
  onTestFinished(() => void hook.disable())
  return async () => {
    await settle()
    return open.size
  }
}
