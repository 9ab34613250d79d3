import { TYPE } from '../../src/dns/codes.ts'
import { type Message, parseMessage, recordText } from '../../src/dns/message.ts'
import { parseZoneText } from '../../src/dns/zone-text.ts'
import type { Presence } from '../../src/router/discovery/presence.ts'
import type { ConfiguredZone } from '../../src/router/resolve/local/build-tree.ts'
import { createLocal, type LocalOptions } from '../../src/router/resolve/local.ts'
import type { Answer, Resolver } from '../../src/router/resolve/resolver.ts'
import { silentLog } from './log.ts'
import { ManualClock } from './manual-clock.ts'
import { queryOf, queryWire, resolverOf } from './query.ts'

const NEVER = new AbortController().signal

/** A router that has no certificate yet. */
export const PLAIN_PRESENCE: Presence = {
  name: 'cpe-7f3a.example.net',
  addresses: ['192.168.1.1'],
  do53Port: 53,
  endpoints: [],
}

/** The local layer over an upstream that counts and answers nothing, unless told how. */
export async function localOver(
  presence: Presence = PLAIN_PRESENCE,
  options: Partial<LocalOptions> = {},
  upstreamAnswer: Resolver['resolve'] = () => ({ kind: 'drop', reason: 'rate-limit' }),
) {
  const state = { presence }
  const upstream = resolverOf(upstreamAnswer)
  const clock = new ManualClock()
  const local = await createLocal(
    { domain: 'home.arpa', zones: [], hostFiles: [], askedUpstream: [], ...options },
    { clock, log: silentLog, presence: () => state.presence },
  )
  const layer = local.layer(upstream)
  const resolve = (wire: Uint8Array): Answer | undefined => {
    const outcome = layer.resolve(queryOf(wire), NEVER)
    if (outcome instanceof Promise) throw new Error('a promise')
    return outcome.kind === 'answer' ? outcome : undefined
  }
  const ask = (name: string, type: number = TYPE.A): Message | undefined => {
    const answer = resolve(queryWire(name, type))
    return answer && parseMessage(answer.wire)
  }
  return { state, upstream, clock, resolve, ask, local }
}

export const textsOf = (records: Message['answers'] | undefined): string[] => (records ?? []).map(recordText)

/** A zone of the settings from its text. */
export function zoneOf(name: string, text: string, fallthrough = false): ConfiguredZone {
  const { records, problems } = parseZoneText(text, { name, ttl: 300 })
  if (problems[0]) throw new Error(problems[0].problem)
  return { name, records: records.map((record) => ({ ...record, source: `local zone ${name}` })), fallthrough }
}
