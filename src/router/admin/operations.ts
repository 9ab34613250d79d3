import { Fault } from '../../core/fault.ts'
import type { OperationTable } from '../../net/operations.ts'
import { advertisement } from '../discovery/advertisement.ts'
import type { Presence } from '../discovery/presence.ts'
import type { UpstreamStatus } from '../forwarding.ts'
import type { IdentityManager, IdentityStatus } from '../identity/manager.ts'
import type { BlockingStatus } from '../resolve/block.ts'
import type { CacheStatus } from '../resolve/cache.ts'
import type { Transport } from '../resolve/resolver.ts'
import type { ValidationStatus } from '../resolve/validation/layer.ts'
import type { ProtectionStatus } from '../resolving.ts'

export interface RouterStatus {
  readonly uptimeS: number
  readonly listeners: readonly { readonly transport: Transport; readonly host: string; readonly port: number }[]
  readonly identity: IdentityStatus
  readonly presence: Presence
  readonly upstreams: readonly UpstreamStatus[]
  readonly cache: CacheStatus
  readonly dnssec?: ValidationStatus
  /** Questions over the rate limit, and answers with private addresses, since the settings were read. */
  readonly protection: ProtectionStatus
  /** Absent while there are no lists. */
  readonly block?: BlockingStatus
}

/** `renewed` is false when the operator has published nothing newer yet. */
export interface RenewalResult extends IdentityStatus {
  readonly renewed: boolean
}

/**
 * What people and programs may ask of a running router; resolving.ts adds what belongs to the chain. CLI and HTTP are
 * faces of this table and have no logic of their own.
 */
export function createOperations(parts: {
  readonly status: () => RouterStatus
  readonly presence: () => Presence
  readonly identity: IdentityManager
}): OperationTable {
  return {
    status: async () => parts.status(),
    advertise: async () => advertisement(parts.presence()),
    'identity-show': async () => parts.identity.status(),
    'identity-renew': async () => {
      const { renewals } = parts.identity.status()
      const error = await parts.identity.renewNow()
      if (error) throw new Fault(error.code ?? 'ACME_REFUSED', error.message)
      const identity = parts.identity.status()
      return { renewed: identity.renewals > renewals, ...identity } satisfies RenewalResult
    },
  }
}
