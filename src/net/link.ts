import { readFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'

/** How this machine is connected at the moment. */
export interface Link {
  /** Every address it has, those of loopback and of single links too; without zones. */
  readonly addresses: readonly string[]
  /** Changes when the way to the Internet does: addresses that reach beyond a link, and default routes. */
  readonly way: string
}

/** Reads the addresses and, on Linux, the default routes. A system without /proc is judged by its addresses alone. */
export async function readLink(): Promise<Link> {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? [])
  const outward = all
    .filter(({ internal, address }) => !internal && !address.startsWith('fe80:'))
    .map(({ address }) => address)
    .sort()
  const routes = [
    ...defaultRoutes4(await readFile('/proc/net/route', 'utf8').catch(() => '')),
    ...defaultRoutes6(await readFile('/proc/net/ipv6_route', 'utf8').catch(() => '')),
  ]
  return { addresses: all.map(({ address }) => address), way: [...outward, ...routes].join(' ') }
}

/** `eth0 via 0101A8C0`: interface and gateway of the IPv4 default routes, from the kernel's table. */
export function defaultRoutes4(table: string): readonly string[] {
  return rowsOf(table)
    .filter(([, destination, , , , , , mask]) => destination === '00000000' && mask === '00000000')
    .map(([name, , gateway]) => `${name} via ${gateway}`)
}

/** The same for IPv6. Rows to nowhere (`lo`) are what a system without a default route has. */
export function defaultRoutes6(table: string): readonly string[] {
  return rowsOf(table)
    .filter((row) => row[0] === '0'.repeat(32) && row[1] === '00' && row[9] !== undefined && row[9] !== 'lo')
    .map((row) => `${row[9]} via ${row[4]}`)
}

function rowsOf(table: string): readonly (readonly string[])[] {
  return table
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.trim().split(/\s+/))
}
