import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** Below the ports the kernel gives to outgoing connections, so that none of these takes one away meanwhile. */
const FIRST = 12_000
const LAST = 32_000
const ATTEMPTS_MAX = 50

/** Ports in a row that nobody uses now, by TCP or UDP, for programs that cannot choose one themselves. */
export async function freePorts(count: number): Promise<number[]> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    const first = randomInt(FIRST, LAST - count)
    const ports = Array.from({ length: count }, (_, index) => first + index)
    if ((await Promise.all(ports.flatMap((port) => [isTcpFree(port), isUdpFree(port)]))).every(Boolean)) return ports
  }
  throw new Error(`no ${count} free ports in a row`)
}

export async function freePort(): Promise<number> {
  return (await freePorts(1))[0]!
}

function isTcpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}

function isUdpFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', () => resolve(false))
    socket.bind(port, '127.0.0.1', () => socket.close(() => resolve(true)))
  })
}
