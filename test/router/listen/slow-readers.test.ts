import type { Socket } from 'node:net'
import { expect, it } from 'vitest'
import { SlowReaders } from '../../../src/router/listen/slow-readers.ts'

const MIB = 1024 * 1024

function socketWith(writableLength: number): Socket & { cut: boolean } {
  const socket = {
    writableLength,
    cut: false,
    destroy() {
      socket.cut = true
    },
  }
  return socket as unknown as Socket & { cut: boolean }
}

it('cuts a reader that took nothing for ten seconds, and no other', () => {
  const slow = new SlowReaders()
  const [first, second, gone] = [socketWith(10), socketWith(10), socketWith(10)]
  slow.add(first, 10, 1_000)
  slow.add(gone, 10, 1_000)
  slow.add(second, 10, 6_000)
  slow.add(first, 10, 9_000) // more of the same does not start its time anew
  slow.remove(gone)
  slow.check(10_999)
  expect([first.cut, second.cut, gone.cut]).toEqual([false, false, false])
  slow.check(11_000)
  expect([first.cut, second.cut, gone.cut]).toEqual([true, false, false])
  slow.check(16_000)
  expect([second.cut, gone.cut]).toEqual([true, false])
})

it('cuts the longest waiting ones when all together have more than 8 MiB', () => {
  const slow = new SlowReaders()
  const sockets = Array.from({ length: 12 }, () => socketWith(MIB))
  for (const [index, socket] of sockets.entries()) slow.add(socket, MIB, index)
  expect(sockets.map(({ cut }) => cut)).toEqual(sockets.map((_, index) => index < 4))
})
