import { Fault } from '../../core/fault.ts'
import { addressText, addressToBytes } from '../../dns/address.ts'
import { plainAddress } from '../../net/address.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'

const ANY_IPV4 = '0.0.0.0'
const ANY = '::'

/**
 * Why an upstream must not be asked: it is one of our own listeners, so that every question would come back to us
 * (dns §9.10). Undefined when it is none. `own` are the addresses of this machine.
 */
export function loopFault(
  upstream: { readonly id: string; readonly endpoints: readonly Endpoint[] },
  listeners: readonly Endpoint[],
  own: readonly string[],
): Fault | undefined {
  const here = new Set(own.map(normal))
  for (const endpoint of upstream.endpoints) {
    const to = normal(endpoint.host)
    const listener = listeners.find(({ host, port }) => port === endpoint.port && isReachedAt(normal(host), to, here))
    if (!listener) continue
    const [id, at] = [upstream.id, endpointText(listener)]
    return new Fault('UPSTREAM_LOOP', `${id} is this router itself, which listens on ${at}`, { upstream: id })
  }
  return undefined
}

/** A listener on all addresses is reached at each one; sending to 0.0.0.0 or :: means this machine. */
function isReachedAt(listener: string, to: string, own: ReadonlySet<string>): boolean {
  const isHere = own.has(to) || isLoopback(to) || to === ANY_IPV4 || to === ANY
  if (listener === ANY) return isHere
  if (listener === ANY_IPV4) return isHere && !(to.includes(':') && to !== ANY)
  return listener === to || ((to === ANY_IPV4 || to === ANY) && isLoopback(listener))
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.')
}

/** One spelling for each address, so that text can be compared. */
function normal(address: string): string {
  const plain = plainAddress(address)
  const octets = addressToBytes(plain)
  return octets ? addressText(octets) : plain
}
