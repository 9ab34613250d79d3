import { CLASS, TYPE } from '../../dns/codes.ts'
import type { Message, ResourceRecord } from '../../dns/message.ts'
import type { SvcbRecord } from '../../dns/svcb.ts'
import type { SvcbParams } from '../../dns/svcb-params.ts'

/** An encrypted resolver that a plain one names in its place (RFC 9462 §4). */
export interface Designation {
  readonly scheme: 'tls' | 'https'
  /** The host that offers it. */
  readonly target: string
  readonly port: number
  /** For `https`: the path of its URL. */
  readonly path: string
  /** Addresses the answer gave for the target; empty when it has to be asked for. */
  readonly addresses: readonly string[]
}

/** RFC 9460 §14.3.2: mandatory, alpn, no-default-alpn, port, ipv4hint, ipv6hint; and dohpath (RFC 9461 §5). */
const KEYS_WE_KNOW: readonly number[] = [0, 1, 2, 3, 4, 6, 7]
/** A record set with more is no list of one's own resolvers. */
const RECORDS_MAX = 16
const ADDRESSES_MAX = 8

/**
 * The designations in an answer to `_dns.resolver.arpa SVCB` that we can use, best first. A record that needs what we do
 * not know is left out (RFC 9460 §8), one that is malformed spoils them all (RFC 9460 §2.2).
 */
export function designationsIn({ answers, additionals }: Message): readonly Designation[] {
  const records = answers.filter(({ type, class: of }) => type === TYPE.SVCB && of === CLASS.IN).slice(0, RECORDS_MAX)
  const services = records.flatMap(({ data }) => ('params' in data ? [data] : []))
  if (services.length < records.length) return []
  return services
    .filter(isUsable)
    .toSorted((a, b) => a.priority - b.priority)
    .flatMap((service) => protocolsOf(service, addressesOf(service, additionals)))
}

/** Priority 0 is an alias, and the target `.` would be resolver.arpa itself, which has no addresses (RFC 9462 §4). */
function isUsable({ priority, target, params }: SvcbRecord): boolean {
  if (priority === 0 || target === '.' || /(^|\.)resolver\.arpa$/i.test(target)) return false
  return params.mandatory?.every((key) => KEYS_WE_KNOW.includes(key)) !== false
}

function protocolsOf({ target, params }: SvcbRecord, addresses: readonly string[]): readonly Designation[] {
  const { alpn = [], port, dohpath } = params
  const found: Designation[] = []
  if (alpn.includes('dot')) found.push({ scheme: 'tls', target, port: port ?? 853, path: '', addresses })
  if (alpn.includes('h2') && dohpath !== undefined) {
    // A POST expands the URI template with no variables (RFC 8484 §4.1).
    const path = dohpath.replace(/\{[?&][^}]*\}/, '')
    found.push({ scheme: 'https', target, port: port ?? 443, path, addresses })
  }
  return found
}

function addressesOf({ target, params }: SvcbRecord, additionals: readonly ResourceRecord[]): readonly string[] {
  const given = additionals.flatMap(({ name, data }) =>
    name.toLowerCase() === target.toLowerCase() && 'address' in data ? [data.address] : [],
  )
  return (given.length > 0 ? given : hintsOf(params)).slice(0, ADDRESSES_MAX)
}

function hintsOf({ ipv6hint = [], ipv4hint = [] }: SvcbParams): readonly string[] {
  return [...ipv6hint, ...ipv4hint]
}
