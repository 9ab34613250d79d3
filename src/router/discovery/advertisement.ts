import { isIPv4, isIPv6 } from 'node:net'
import { toHex } from '../../core/bytes.ts'
import { addressToBytes, isReachableAddress } from '../../dns/address.ts'
import { type DnrInstance, dnrDhcpv4, dnrDhcpv6, dnrRa } from '../../dns/dnr.ts'
import { svcbText } from '../../dns/svcb.ts'
import { designations, mayDesignate, type Presence } from './presence.ts'

/** What clients are told, as records and option bytes, and why if it is nothing. */
export interface Advertisement {
  readonly name: string
  readonly addresses: readonly string[]
  /** Zone-file text of the SVCB records at `_dns.<name>`; at `_dns.resolver.arpa` the same with that owner. */
  readonly svcb: readonly string[]
  /** Whether `_dns.resolver.arpa` is answered with them. */
  readonly ddr: boolean
  /**
   * RFC 9463 in hex: `v4` is the payload of DHCPv4 option 162, `v6` one payload of DHCPv6 option 144 per instance, `ra`
   * one whole neighbour discovery option per instance. Where no address of the family is served they name us only
   * (ADN-only, RFC 9463 §3.1.6): clients then ask for the addresses.
   */
  readonly dnr: { readonly v4: string; readonly v6: readonly string[]; readonly ra: readonly string[] }
  /** Present when something is withheld. */
  readonly withheld?: string
}

/** Three times the longest interval between router advertisements (RFC 9463 §6.1, RFC 4861 §6.2.1: 600 s). */
const RA_LIFETIME_S = 1800

export function advertisement(presence: Presence): Advertisement {
  const { name, certificate } = presence
  const nothing = { name, addresses: presence.addresses, svcb: [], ddr: false, dnr: { v4: '', v6: [], ra: [] } }
  if (!certificate) return { ...nothing, withheld: 'no believed certificate is loaded, so nothing is advertised' }
  if (presence.endpoints.length === 0)
    return {
      ...nothing,
      withheld: 'neither DoT nor DoH listens at the addresses that clients ask, so nothing is advertised',
    }
  const ddr = mayDesignate(presence)
  // Clients discard an option with such an address whole (RFC 9463 §4.2), so a demo on 127.0.0.1 names none.
  const reachable = presence.addresses.filter(isReachable)
  const [v4, v6] = [reachable.filter(isIPv4), reachable.filter(isIPv6)]
  return {
    name,
    addresses: presence.addresses,
    svcb: designations(presence).map((record) => `_dns.${name}. 300 IN SVCB ${svcbText(record)}`),
    ddr,
    dnr: {
      v4: toHex(dnrDhcpv4(instances(presence, v4))),
      v6: instances(presence, v6).map((instance) => toHex(dnrDhcpv6(instance))),
      ra: instances(presence, v6).map((instance) => toHex(dnrRa(instance, { lifetimeS: RA_LIFETIME_S }))),
    },
    ...(ddr ? {} : { withheld: `DDR: ${presence.ddr === 'off' ? SWITCHED_OFF : NOT_VERIFIABLE}` }),
  }
}

const SWITCHED_OFF = 'switched off in the settings'
const NOT_VERIFIABLE = 'the certificate does not carry the public address clients ask, so they would refuse us'

/** One instance per port, so that `port` never leaks onto another protocol. Without addresses the form is ADN-only. */
function instances(presence: Presence, addresses: readonly string[]): DnrInstance[] {
  const records = designations(presence)
  if (addresses.length === 0)
    return records.slice(0, 1).map(({ priority }) => ({ priority, name: presence.name, addresses: [] }))
  return records.map(({ priority, params }) => ({ priority, name: presence.name, addresses, params }))
}

/** Neither loopback, multicast nor unspecified, and the same on every link. */
function isReachable(address: string): boolean {
  const octets = addressToBytes(address)
  return octets !== undefined && isReachableAddress(octets)
}
