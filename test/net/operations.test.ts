import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import { askOperation, serveOperations } from '../../src/net/operations.ts'

let directory: string
let socket: string
let server: { close(): Promise<void> }
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'hearth-operations-'))
  socket = join(directory, 'admin.sock')
  server = await serveOperations(socket, () => ({
    add: async ({ a, b }: { a: number; b: number }) => a + b,
    refuse: () => Promise.reject(new Fault('DELEGATION_MISSING', 'no such name')),
    who: async (_input: object, by?: string) => by ?? 'nobody',
    break: () => Promise.reject(new TypeError('x is undefined')),
  }))
})
afterAll(async () => {
  await server.close()
  await rm(directory, { recursive: true })
})

it('passes input and result as JSON', async () => {
  expect(await askOperation<number>(socket, 'add', { a: 2, b: 3 })).toBe(5)
})

it('says who asks', async () => {
  expect(await askOperation(socket, 'who', {}, 'cli root (uid 0)')).toBe('cli root (uid 0)')
  expect(await askOperation(socket, 'who')).toBe('nobody')
})

it('throws here the fault that was thrown there', async () => {
  await expect(askOperation(socket, 'refuse')).rejects.toMatchObject({
    code: 'DELEGATION_MISSING',
    message: 'no such name',
  })
})

it('says so when the daemon has a bug, or does not know the operation', async () => {
  await expect(askOperation(socket, 'break')).rejects.toThrow('break failed by a bug of ours: x is undefined')
  await expect(askOperation(socket, 'break')).rejects.toMatchObject({ code: 'DAEMON_FAILED' })
  await expect(askOperation(socket, 'constructor')).rejects.toThrow('there is no operation')
})

it('says so when nobody answers', async () => {
  await expect(askOperation(join(directory, 'none.sock'), 'add')).rejects.toMatchObject({ code: 'NOT_RUNNING' })
})
