import type { Endpoint } from '../../net/bind.ts'

/** Where an upstream is: written in the settings, or looked up by the bootstrap resolvers (bootstrap.ts). */
export interface EndpointSource {
  /** Never empty. Rejects with a Fault while nobody knows. */
  find(): readonly Endpoint[] | Promise<readonly Endpoint[]>
  /** The link is new: what failed before may work now. */
  reset?(): void
}

export function fixedEndpoints(endpoints: readonly Endpoint[]): EndpointSource {
  return { find: () => endpoints }
}
