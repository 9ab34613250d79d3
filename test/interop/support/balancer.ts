import { connect, createServer, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { listenOn } from '../../../src/net/bind.ts'

/** A TCP balancer as stands before instances: each connection goes to the next one that answers. */
export async function balance(
  port: number,
  targets: readonly number[],
): Promise<{ /** Connections that each target got. */ readonly counts: readonly number[] }> {
  const counts = targets.map(() => 0)
  const open = new Set<Socket>()
  let turn = 0
  const pass = (client: Socket, triesLeft: number): void => {
    const index = turn++ % targets.length
    const target = connect(targets[index]!, '127.0.0.1')
    let isThrough = false
    target.once('connect', () => {
      isThrough = true
      counts[index]!++
      client.pipe(target).pipe(client)
    })
    target.once('error', () => (isThrough || triesLeft === 0 ? client.destroy() : pass(client, triesLeft - 1)))
    target.once('close', () => isThrough && client.destroy())
    client.once('close', () => target.destroy())
  }
  const server = createServer((client) => {
    open.add(client)
    client.on('error', () => {}).once('close', () => open.delete(client))
    pass(client, targets.length)
  })
  await listenOn(server, { host: '127.0.0.1', port })
  onTestFinished(() => {
    server.close()
    for (const client of open) client.destroy()
  })
  return { counts }
}
