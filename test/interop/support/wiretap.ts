import { createSocket } from 'node:dgram'
import { connect, createServer } from 'node:net'

/** Stands on a port before a server, passes TCP on, and keeps what came from the clients. */
export interface Wiretap {
  readonly port: number
  /** All bytes of each TCP connection, in the order of the connections. */
  readonly streams: readonly Buffer[]
  /** Datagrams to the same port. Nobody answers them. */
  readonly datagrams: readonly Buffer[]
  close(): Promise<void>
}

export async function tapBefore(serverPort: number): Promise<Wiretap> {
  const streams: Buffer[] = []
  const datagrams: Buffer[] = []
  const tcp = createServer((client) => {
    const index = streams.push(Buffer.alloc(0)) - 1
    const server = connect(serverPort, '127.0.0.1')
    client.on('data', (chunk) => {
      streams[index] = Buffer.concat([streams[index]!, chunk])
    })
    client.pipe(server).pipe(client)
    for (const side of [client, server])
      side.on('error', () => {
        client.destroy()
        server.destroy()
      })
  })
  await new Promise<void>((resolve) => {
    tcp.listen(0, '127.0.0.1', resolve)
  })
  const { port } = tcp.address() as { port: number }
  const udp = createSocket('udp4')
  udp.on('message', (wire) => datagrams.push(wire))
  await new Promise<void>((resolve) => {
    udp.bind(port, '127.0.0.1', resolve)
  })
  return {
    port,
    streams,
    datagrams,
    async close() {
      udp.close()
      await new Promise((resolve) => {
        tcp.close(resolve)
      })
    },
  }
}
