import { concatBytes } from '../core/bytes.ts'
import { Fault } from '../core/fault.ts'
import { addressToBytes, isReachableAddress } from './address.ts'
import { nameToWire } from './name.ts'
import { buildSvcbParams } from './svcb.ts'
import type { SvcbParams } from './svcb-params.ts'
import { putUint16, putUint32 } from './wire.ts'

/** One encrypted resolver as DHCP and router advertisements name it (RFC 9463 §3.1). Receiving is in dnr-receive.ts. */
export interface DnrInstance {
  /** 1 to 65535, lower is preferred (RFC 9463 §3.1.2). */
  readonly priority: number
  /** The authentication domain name: what the certificate must carry. */
  readonly name: string
  /** None, and no `params`, is the ADN-only form (RFC 9463 §3.1.6). */
  readonly addresses: readonly string[]
  readonly params?: SvcbParams
}

/** DHCPv4 option 162, DHCPv6 option 144, neighbour discovery option 144: the last two are different registries. */
export const DNR_CODE = { dhcpv4: 162, dhcpv6: 144, ra: 144 } as const

/** "Until told otherwise" (RFC 9463 §6.1). */
export const LIFETIME_FOREVER = 0xffff_ffff

/** What goes into DHCPv4 option 162, all instances in one payload (RFC 9463 §5.1). */
export function dnrDhcpv4(instances: readonly DnrInstance[]): Uint8Array {
  return concatBytes(
    instances.flatMap((instance) => {
      const { name, addresses, params } = partsOf(instance, 4)
      const isFull = instance.params !== undefined
      const body = concatBytes([
        uint16Bytes(instance.priority),
        Uint8Array.of(name.length),
        name,
        ...(isFull ? [Uint8Array.of(addresses.length), addresses, params] : []),
      ])
      // The length does not count itself; there is no length of the SvcParams.
      return [uint16Bytes(body.length), body]
    }),
  )
}

/** Options 162 with code and length; a payload above 255 octets is cut anywhere into several (RFC 3396 §5). */
export function dnrDhcpv4Option(instances: readonly DnrInstance[]): Uint8Array {
  const payload = dnrDhcpv4(instances)
  const parts: Uint8Array[] = []
  for (let at = 0; at < payload.length; at += DHCPV4_OPTION_BYTES_MAX) {
    const part = payload.subarray(at, at + DHCPV4_OPTION_BYTES_MAX)
    parts.push(Uint8Array.of(DNR_CODE.dhcpv4, part.length), part)
  }
  return concatBytes(parts)
}
const DHCPV4_OPTION_BYTES_MAX = 255

/** What goes into one DHCPv6 option 144; each resolver has an option of its own (RFC 9463 §4.1). */
export function dnrDhcpv6(instance: DnrInstance): Uint8Array {
  const { name, addresses, params } = partsOf(instance, 16)
  return concatBytes([
    uint16Bytes(instance.priority),
    uint16Bytes(name.length),
    name,
    ...(instance.params ? [uint16Bytes(addresses.length), addresses, params] : []),
  ])
}

/** With code and length. */
export function dnrDhcpv6Option(instance: DnrInstance): Uint8Array {
  const payload = dnrDhcpv6(instance)
  return concatBytes([uint16Bytes(DNR_CODE.dhcpv6), uint16Bytes(payload.length), payload])
}

/** A whole neighbour discovery option, padded to units of eight octets (RFC 9463 §6.1). Lifetime 0 withdraws. */
export function dnrRa(instance: DnrInstance, options: { readonly lifetimeS: number }): Uint8Array {
  const { name, addresses, params } = partsOf(instance, 16)
  const { lifetimeS } = options
  if (!Number.isInteger(lifetimeS) || lifetimeS < 0 || lifetimeS > LIFETIME_FOREVER) {
    throw invalid(instance, `${lifetimeS} s is no lifetime`)
  }
  const lifetime = new Uint8Array(4)
  putUint32(lifetime, 0, lifetimeS)
  const content = concatBytes([
    uint16Bytes(instance.priority),
    lifetime,
    uint16Bytes(name.length),
    name,
    // Only here the SvcParams have a length; without them it is left out too (erratum 7804).
    ...(instance.params ? [uint16Bytes(addresses.length), addresses, uint16Bytes(params.length), params] : []),
  ])
  const units = Math.ceil((2 + content.length) / 8)
  if (units > 255) throw invalid(instance, 'it does not fit a router advertisement')
  const option = new Uint8Array(units * 8)
  option.set([DNR_CODE.ra, units])
  option.set(content, 2)
  return option
}

interface Parts {
  readonly name: Uint8Array
  readonly addresses: Uint8Array
  readonly params: Uint8Array
}

/** Checks what receivers check (RFC 9463 §3.1.8): one bad instance makes some of them drop the whole option. */
function partsOf(instance: DnrInstance, addressOctets: 4 | 16): Parts {
  const { priority, params } = instance
  // 0 would be AliasMode, for which there is no use here.
  if (!Number.isInteger(priority) || priority < 1 || priority > 0xffff) {
    throw invalid(instance, `priority ${priority} is not within 1 to 65535`)
  }
  const name = nameToWire(instance.name)
  if (!name || name.length === 1) throw invalid(instance, 'the name is no domain name')
  if (params === undefined) {
    if (instance.addresses.length > 0) throw invalid(instance, 'addresses without params are neither form of DNR')
    return { name, addresses: NOTHING, params: NOTHING }
  }
  if (instance.addresses.length === 0) throw invalid(instance, 'params need at least one address')
  const addresses = concatBytes(instance.addresses.map((text) => addressBytes(instance, text, addressOctets)))
  if (addressOctets === 4 && addresses.length > 0xff) throw invalid(instance, 'more than 63 addresses')
  if (params.mandatory) throw invalid(instance, '`mandatory` makes some clients drop the whole option')
  return { name, addresses, params: buildSvcbParams(params) }
}

function addressBytes(instance: DnrInstance, text: string, octets: 4 | 16): Uint8Array {
  const address = addressToBytes(text)
  if (address?.length !== octets) throw invalid(instance, `${text} is no IPv${octets === 4 ? 4 : 6} address`)
  if (!isReachableAddress(address)) throw invalid(instance, `no client can reach ${text}`)
  return address
}

function uint16Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(2)
  putUint16(bytes, 0, value)
  return bytes
}

const NOTHING = new Uint8Array(0)

function invalid(instance: DnrInstance, reason: string): Fault {
  return new Fault('CONFIG_INVALID', `DNR for ${instance.name}: ${reason}`)
}
