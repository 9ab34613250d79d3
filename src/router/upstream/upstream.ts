import type { Resolver, Upstream } from '../resolve/resolver.ts'
import { bootstrapEndpoints } from './bootstrap.ts'
import { dohUpstream } from './doh.ts'
import { fixedEndpoints } from './endpoints.ts'
import { plainUpstream } from './plain.ts'
import { streamUpstream } from './stream.ts'
import type { UpstreamAddress } from './url.ts'

export interface UpstreamOptions {
  /** PEM roots that replace the system's. Encrypted upstreams are always verified; there is no switch. */
  readonly trust?: readonly string[]
  /** Public keys, one of which the upstream must hold (pins.ts). */
  readonly pins?: readonly string[]
  /** Plain DNS over UDP only. */
  readonly caseRandomisation?: boolean
  /** Who may look up the name of an upstream without addresses. */
  readonly bootstrap?: readonly Resolver[]
  /** False while the wall clock may be wrong: a pinned upstream may then show a certificate of any date. */
  readonly isClockTrusted?: () => boolean
}

/** Opens nothing yet: the first question does. */
export function createUpstream(address: UpstreamAddress, options: UpstreamOptions = {}): Upstream {
  const { id, scheme, host, port, path, name, isNamed } = address
  const { trust, pins, isClockTrusted } = options
  const endpoints =
    address.endpoints.length > 0
      ? fixedEndpoints(address.endpoints)
      : bootstrapEndpoints(host, port, options.bootstrap ?? [])
  const tls = {
    name,
    ...(trust ? { trust } : {}),
    ...(pins && pins.length > 0 ? { pins } : {}),
    ...(pins && pins.length > 0 && !isNamed ? { pinsAlone: true as const } : {}),
    ...(isClockTrusted ? { isClockTrusted } : {}),
  }
  switch (scheme) {
    case 'udp':
      return plainUpstream({
        id,
        endpoint: address.endpoints[0]!,
        caseRandomisation: options.caseRandomisation ?? false,
      })
    case 'tcp':
      return streamUpstream({ id, endpoints })
    case 'tls':
      return streamUpstream({ id, endpoints, tls })
    case 'https':
      return dohUpstream({ id, endpoints, tls, port, path })
  }
}
