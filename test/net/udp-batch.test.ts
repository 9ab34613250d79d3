import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { describe, expect, it, onTestFinished } from 'vitest'
import { batchSockets, type DatagramBatch } from '../../src/net/udp-batch.ts'

const HAS_FFI = Number(process.versions.node.split('.')[0]) >= 26

async function bound(family: 'udp4' | 'udp6', options: { readonly fd: number } | { readonly address: string }) {
  const socket = createSocket(family)
  onTestFinished(() => new Promise<void>((resolve) => void socket.close(resolve)))
  // With a socket that is bound already it listens within the call.
  const listening = once(socket, 'listening')
  socket.bind(options)
  await listening
  return { socket, port: socket.address().port }
}

describe('datagrams in batches', () => {
  it('are there from Node 26 on, and their absence is a value before', async () => {
    expect((await batchSockets()) !== undefined).toBe(HAS_FFI)
  })

  it.each(['127.0.0.1', '::1'])('come with their senders and are answered to them at %s', async (address) => {
    const open = await batchSockets()
    if (!open) return expect(HAS_FFI).toBe(false)
    const family = address.includes(':') ? 'udp6' : 'udp4'
    const { fd, batch } = open({ host: address, port: 0 })!
    const [server, client] = [await bound(family, { fd }), await bound(family, { address })]
    const answers: string[] = []
    client.socket.on('message', (wire) => void answers.push(wire.toString()))
    server.socket.on('message', (wire, from) => {
      server.socket.send(`first ${wire.toString()}`, from.port, from.address)
      for (let count = batch.receive(); count > 0; count = batch.receive())
        answerAll(batch, count, client.port, address)
    })
    for (let index = 0; index < 100; index++) client.socket.send(`query ${index}`, server.port, address)
    while (answers.length < 100) await once(client.socket, 'message')
    const expected = Array.from({ length: 100 }, (_, index) => `query ${index}`)
    expect(answers.map((text) => text.replace('first ', '').replace('batch ', '')).toSorted()).toEqual(
      expected.toSorted(),
    )
    expect(answers.some((text) => text.startsWith('batch '))).toBe(true)
    return undefined
  })
})

it('an address that is taken or has a zone is left to node:dgram', async () => {
  const open = await batchSockets()
  const { port } = await bound('udp4', { address: '127.0.0.1' })
  expect(open?.({ host: '127.0.0.1', port })).toBeUndefined()
  expect(open?.({ host: 'fe80::1%lo', port: 0 })).toBeUndefined()
})

function answerAll(batch: DatagramBatch, count: number, port: number, address: string): void {
  for (let index = 0; index < count; index++) {
    expect(batch.sender(index)).toEqual({ address, port })
    const text = Buffer.from(`batch ${Buffer.from(batch.message(index)).toString()}`)
    batch.room(index).set(text)
    batch.reply(index, text.length)
  }
  batch.send()
}
