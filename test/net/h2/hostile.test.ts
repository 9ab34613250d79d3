import { expect, it } from 'vitest'
import { Connection } from '../../../src/net/h2/connection.ts'
import { gatherBuffer } from '../../../src/net/h2/output.ts'
import { randomNumbers } from '../../dns/hostile.ts'
import { testHandler } from '../../support/http2-peer.ts'
import {
  block,
  continuation,
  data,
  framesOf,
  GET,
  GET_FIELDS,
  get,
  HELLO,
  headers,
  ping,
  postHead,
  priority,
  reset,
  settings,
  TestSocket,
  windowUpdate,
} from '../../support/http2-wire.ts'

const FRAMES = 100_000
const FRAMES_OF_CONNECTION_MAX = 60

it('connections of damaged frames in any order: an answer or an error, never a bug, and whole frames only', () => {
  const next = randomNumbers(44487)
  const gather = gatherBuffer()
  const id = (): number => 1 + 2 * (next() % 6)
  const makers: readonly (() => Buffer)[] = [
    () => get(id()),
    () => headers(id(), block(...GET_FIELDS.slice(0, 3), [':path', next() % 2 === 0 ? '/slow' : '/large'])),
    () => headers(id(), GET, next() & 0xff),
    () => continuation(id(), GET, next() & 0x4),
    () => postHead(id()),
    () => data(id(), Buffer.alloc(next() % 40), next() & 0xff),
    () => windowUpdate(next() % 2 === 0 ? 0 : id(), next() & 0x7fff_ffff),
    () => settings([next() % 10, next() % 100_000]),
    () => reset(id()),
    () => priority(id(), id()),
    () => ping(),
  ]
  const bugs: unknown[] = []
  let ended = 0
  let connections = 0
  let nowMs = 0
  for (let frames = 0; frames < FRAMES; connections++) {
    const socket = new TestSocket()
    const handler = testHandler({ failed: (error) => bugs.push(error) })
    const connection = new Connection(socket, handler, { gather, date: '', monotonicMs: () => nowMs })
    // As the socket would, but without its turns of the event loop.
    const read = (bytes: Buffer): void => void socket.emit('data', bytes)
    read(HELLO)
    let id0 = 0
    for (const count = 1 + (next() % FRAMES_OF_CONNECTION_MAX); id0 < count; id0++, frames++) {
      const one = makers[next() % makers.length]!()
      // Mostly whole, so that a connection lives long enough to get into odd states.
      if (next() % 12 === 0) one[next() % one.length] = next() & 0xff
      const at = next() % one.length
      read(one.subarray(0, at))
      read(one.subarray(at))
      if (next() % 20 === 0) {
        nowMs += next() % 3_000
        connection.sweep()
      }
    }
    if (socket.writableEnded) ended++
    const sent = Buffer.concat(socket.writes)
    const cut = framesOf(sent).reduce((sum, { payload }) => sum + 9 + payload.length, 0)
    if (cut !== sent.length) expect.fail(`connection ${connections} sent half a frame`)
    socket.destroy()
  }
  expect(bugs).toEqual([])
  expect([ended > connections / 4, ended < connections]).toEqual([true, true])
})
