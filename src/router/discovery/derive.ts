import { networkInterfaces } from 'node:os'
import { isPrivateAddress } from '../../net/address.ts'
import type { Endpoint } from '../../net/bind.ts'
import { parseCertificate } from '../../pki/certificate.ts'
import type { Identity } from '../../pki/issuer.ts'
import type { Transport } from '../resolve/resolver.ts'
import { encryptedEndpoints, type Presence } from './presence.ts'

interface Listening {
  readonly transport: Transport
  readonly endpoint: Endpoint
}

const ANY_IPV4 = '0.0.0.0'
const ANY = '::'

/** The presence of this moment: what is listening, at which addresses, with which believed certificate. */
export function derivePresence(
  settings: { readonly name: string; readonly ddr: 'auto' | 'off'; readonly addresses?: readonly string[] },
  listeners: readonly Listening[],
  identity: Identity | undefined,
): Presence {
  const of = (transport: Transport): Endpoint[] =>
    listeners.filter((listener) => listener.transport === transport).map(({ endpoint }) => endpoint)
  // As the settings have it: UDP has a listener for each address (listening.ts).
  const plain = of('tcp')
  const addresses = settings.addresses ?? [...new Set(plain.flatMap(({ host }) => lanAddresses(host)))]
  // A record names one port for all addresses, so an endpoint counts only where it answers at every one of them. Addresses
  // from the settings are taken as they are: only the user knows what stands in front of us.
  const portOf = (transport: Transport): { readonly [name: string]: number } => {
    const endpoints = of(transport)
    const port = endpoints[0]?.port
    const isReached = (address: string): boolean =>
      endpoints.some((endpoint) => endpoint.port === port && covers(endpoint.host, address))
    if (port === undefined || (!settings.addresses && !addresses.every(isReached))) return {}
    return { [transport]: port }
  }
  return {
    name: settings.name,
    addresses,
    do53Port: plain[0]?.port ?? 53,
    endpoints: encryptedEndpoints({ ...portOf('dot'), ...portOf('doh') }),
    ...(settings.ddr === 'off' ? { ddr: 'off' } : {}),
    ...(identity
      ? {
          certificate: {
            notAfterMs: identity.notAfterMs,
            ipAddresses: parseCertificate(identity.chain[0]!).ipAddresses,
          },
        }
      : {}),
  }
}

function covers(host: string, address: string): boolean {
  return host === address || host === ANY || (host === ANY_IPV4 && !address.includes(':'))
}

/** A listener on all addresses is reached at the private ones; link-local ones need a zone and are left out. */
function lanAddresses(host: string): string[] {
  if (host !== ANY_IPV4 && host !== ANY) return [host]
  return Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ internal, address }) => !internal && isPrivateAddress(address) && !address.startsWith('fe80'))
    .map(({ address }) => address)
    .filter((address) => covers(host, address))
}
