import { Fault } from '../../core/fault.ts'
import { addressText } from '../../dns/address.ts'
import { CLASS, RCODE, TYPE, typeName } from '../../dns/codes.ts'
import { buildMessage } from '../../dns/message.ts'
import { walkRecords } from '../../dns/records.ts'
import { MessageView } from '../../dns/view.ts'
import type { Endpoint } from '../../net/bind.ts'
import type { Resolver } from '../resolve/resolver.ts'
import type { EndpointSource } from './endpoints.ts'

/** Addresses used of one name and family; happy eyeballs tries them all. */
const ADDRESSES_MAX = 4
/** How long one bootstrap resolver has; then the next one is asked. */
const ASK_MS = 2_000
/** Resolution Delay (RFC 8305 §3): what the other family of addresses gets once one is known. */
const OTHER_FAMILY_MS = 50
/** Bounds of how long an address is taken for new. After that it is still used, and looked up again beside. */
const FRESH_MS_MIN = 60_000
const FRESH_MS_MAX = 86_400_000
/** A lookup that failed is tried again this much later, then after twice as long. The largest keeps recovery below 5 s. */
const RETRY_MS_MIN = 500
const RETRY_MS_MAX = 4_000

/**
 * The addresses of an upstream whose URL has only a name, from resolvers that the settings name for it and never from
 * ourselves, who could not answer. Only for upstreams that prove their name: then a forged address denies service and no
 * more. The last addresses stay in use until newer ones are known, however old they are (dns §9.10).
 */
export function bootstrapEndpoints(name: string, port: number, resolvers: readonly Resolver[]): EndpointSource {
  let known: readonly Endpoint[] | undefined
  let staleAtMs = 0
  let lookup: Promise<readonly Endpoint[]> | undefined
  let failures = 0
  let retryAtMs = 0
  let failure: unknown

  const look = async (): Promise<readonly Endpoint[]> => {
    try {
      const { addresses, ttlS } = await lookUp(name, resolvers)
      known = addresses.map((host) => ({ host, port }))
      staleAtMs = performance.now() + Math.min(Math.max(ttlS * 1000, FRESH_MS_MIN), FRESH_MS_MAX)
      failures = 0
      return known
    } catch (error) {
      failure = error
      retryAtMs = performance.now() + Math.min(RETRY_MS_MIN * 2 ** failures++, RETRY_MS_MAX)
      throw error
    } finally {
      lookup = undefined
    }
  }

  return {
    find() {
      const nowMs = performance.now()
      const isTooEarly = failures > 0 && nowMs < retryAtMs
      if (known && (nowMs < staleAtMs || isTooEarly)) return known
      if (isTooEarly) return Promise.reject(failure)
      lookup ??= look()
      if (!known) return lookup
      lookup.catch(() => {}) // beside the question, which has the old address
      return known
    },
    reset() {
      failures = 0
    },
  }
}

interface Found {
  readonly addresses: readonly string[]
  readonly ttlS: number
}

/** The first resolver that knows an address. Throws the Fault of the last one. */
async function lookUp(name: string, resolvers: readonly Resolver[]): Promise<Found> {
  let reason: unknown
  for (const resolver of resolvers) {
    try {
      return await lookUpAt(resolver, name)
    } catch (error) {
      reason = error
    }
  }
  throw new Fault('UPSTREAM_UNREACHABLE', `no bootstrap resolver gave an address of ${name}`, { name }, reason)
}

async function lookUpAt(resolver: Resolver, name: string): Promise<Found> {
  const found: Found[] = []
  const families = [TYPE.AAAA, TYPE.A].map(async (type) => {
    found.push(await addressesFrom(resolver, name, type))
  })
  const all = Promise.allSettled(families)
  // Whichever comes first waits a moment for the other.
  await Promise.any(families).then(
    () => Promise.race([all, new Promise((resolve) => void setTimeout(resolve, OTHER_FAMILY_MS).unref())]),
    (error: AggregateError) => Promise.reject(error.errors[0]),
  )
  return {
    addresses: found.flatMap(({ addresses }) => addresses),
    ttlS: Math.min(...found.map(({ ttlS }) => ttlS)),
  }
}

/** Throws a Fault when there is none. */
async function addressesFrom(resolver: Resolver, name: string, type: number): Promise<Found> {
  const wire = buildMessage({ recursionDesired: true, questions: [{ name, type, class: CLASS.IN }] })
  const query = { view: MessageView.over(wire)!, client: NOBODY, deadlineMs: performance.now() + ASK_MS }
  const outcome = await resolver.resolve(query, NEVER)
  const view = outcome.kind === 'answer' ? MessageView.over(outcome.wire) : undefined
  const addresses: string[] = []
  let ttlS = Number.POSITIVE_INFINITY
  if (view?.rcode === RCODE.NOERROR) {
    const length = type === TYPE.A ? 4 : 16
    const records = walkRecords(view)
    // Aliases before them count for how long they hold.
    while (records.next() && records.section === 'answer') {
      ttlS = Math.min(ttlS, records.ttl)
      if (records.type !== type || records.rdataLength !== length || addresses.length === ADDRESSES_MAX) continue
      addresses.push(addressText(records.wire.subarray(records.rdataStart, records.end)))
    }
  }
  if (addresses.length === 0)
    throw new Fault('UPSTREAM_UNREACHABLE', `${resolver.id} knows no ${typeName(type)} record of ${name}`, { name })
  return { addresses, ttlS }
}
const NOBODY = { address: '127.0.0.1', transport: 'udp' } as const
const NEVER = new AbortController().signal
