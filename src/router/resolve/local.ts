import assert from 'node:assert'
import { isIPv6 } from 'node:net'
import { type AuthoredRecord, buildAnswer } from '../../dns/build.ts'
import { CLASS, RCODE, TYPE } from '../../dns/codes.ts'
import { nameToWire } from '../../dns/name.ts'
import type { MessageView } from '../../dns/view.ts'
import { designations, mayDesignate, type Presence } from '../discovery/presence.ts'
import type { Layer } from './chain.ts'
import type { Answer } from './resolver.ts'

/** How long clients keep what we say about ourselves. A failed designation is not asked again for this long (RFC 9462 §4.2). */
const TTL_S = 300
/** How long they keep that there is nothing: certificates come soon after the start. */
const NOTHING_TTL_S = 60
const RESOLVER_ARPA = 'resolver.arpa'
const DO53_PORT = 53

/**
 * The names we answer ourselves, online or off: our own name, `_dns.` before it (RFC 9461 §3), and the locally served
 * zone resolver.arpa (RFC 9462 §4, §6.4), of which nothing may ever be asked upstream.
 */
export function withLocal(presence: () => Presence): Layer {
  const arpa = keyOfName(RESOLVER_ARPA)
  let known: { readonly presence: Presence; readonly own: ReadonlyMap<string, OwnName> } | undefined

  const ownNames = (): ReadonlyMap<string, OwnName> => {
    const current = presence()
    if (known?.presence !== current) known = { presence: current, own: namesOf(current) }
    return known.own
  }

  return (next) => ({
    id: 'local',
    resolve(query, signal) {
      const { view } = query
      if (view.questionClass !== CLASS.IN) return next.resolve(query, signal)
      const nameEnd = view.questionKey.length - TYPE_AND_CLASS_BYTES
      const own = ownNames().get(view.questionKey.slice(0, nameEnd))
      if (own) return answer(presence(), view, own.zone, own.records(view.questionType))
      if (isAtOrUnder(view.questionKey, nameEnd, arpa)) return answer(presence(), view, RESOLVER_ARPA, [])
      return next.resolve(query, signal)
    },
  })
}

/** What `questionKey` appends to the lower-cased name. */
const TYPE_AND_CLASS_BYTES = 4

interface OwnName {
  /** Owner of the SOA in an answer without records. */
  readonly zone: string
  /** Empty: the name is there, but not with this type. */
  records(type: number): readonly AuthoredRecord[]
}

function namesOf(presence: Presence): ReadonlyMap<string, OwnName> {
  const { name } = presence
  const own = new Map<string, OwnName>([
    [keyOfName(name), { zone: name, records: (type) => addressRecords(presence, type) }],
  ])
  const designation = (owner: string, zone: string, allowed: boolean): void => {
    const records = allowed
      ? designations(presence).map((rdata) => ({ name: owner, type: TYPE.SVCB, ttl: TTL_S, rdata }))
      : []
    own.set(keyOfName(owner), { zone, records: (type) => (type === TYPE.SVCB ? records : []) })
  }
  const prefixes = presence.do53Port === DO53_PORT ? ['_dns.'] : ['_dns.', `_${presence.do53Port}._dns.`]
  for (const prefix of prefixes) {
    designation(prefix + RESOLVER_ARPA, RESOLVER_ARPA, mayDesignate(presence))
    designation(prefix + name, name, presence.certificate !== undefined)
  }
  return own
}

function addressRecords({ name, addresses }: Presence, type: number): readonly AuthoredRecord[] {
  return addresses
    .filter((address) => type === (isIPv6(address) ? TYPE.AAAA : TYPE.A))
    .map((address) => ({ name, type, ttl: TTL_S, rdata: { address } }))
}

function answer(presence: Presence, view: MessageView, zone: string, answers: readonly AuthoredRecord[]): Answer {
  const isDesignation = answers[0]?.type === TYPE.SVCB
  const wire = buildAnswer(view, {
    rcode: RCODE.NOERROR,
    authoritative: true,
    answers,
    authorities: answers.length > 0 ? [] : [noSuchData(zone)],
    // RFC 9462 §4: whoever is sent to a name should not have to ask for its addresses.
    additionals: isDesignation ? [...addressRecords(presence, TYPE.A), ...addressRecords(presence, TYPE.AAAA)] : [],
  })
  return { kind: 'answer', wire, from: 'local', freshS: answers.length > 0 ? TTL_S : NOTHING_TTL_S }
}

/** The SOA that says for how long there is nothing (RFC 2308 §3), with the content of RFC 6303 §3. */
function noSuchData(zone: string): AuthoredRecord {
  const rdata = {
    primary: zone,
    mailbox: 'nobody.invalid',
    serial: 1,
    refresh: 3600,
    retry: 1200,
    expire: 604_800,
    minimum: NOTHING_TTL_S,
  }
  return { name: zone, type: TYPE.SOA, ttl: NOTHING_TTL_S, rdata }
}

/** The name as `questionKey` spells it: lower-case octets, one character each. */
function keyOfName(name: string): string {
  const wire = nameToWire(name.toLowerCase())
  assert(wire, `${name} is a domain name: the settings were checked`)
  return Buffer.from(wire).toString('latin1')
}

/** Whether the name that ends at `nameEnd` lies at or below the zone, label by label. */
function isAtOrUnder(key: string, nameEnd: number, zone: string): boolean {
  const start = nameEnd - zone.length
  if (start < 0 || !key.startsWith(zone, start)) return false
  let at = 0
  while (at < start) at += key.charCodeAt(at) + 1 // a name has at most 127 labels
  return at === start
}
