import assert from 'node:assert'
import type { Clock } from '../../core/clock.ts'
import { reasonOf } from '../../core/fault.ts'
import { explain as faultFields, type Log } from '../../core/log.ts'
import { buildReply } from '../../dns/answer.ts'
import { CLASS, EXTENDED_ERROR, RCODE, TYPE } from '../../dns/codes.ts'
import { nameToWire } from '../../dns/name.ts'
import { RecordWalker } from '../../dns/records.ts'
import { HEADER_BYTES, uint16 } from '../../dns/wire.ts'
import { noData, noName, zeroAddress } from './authored.ts'
import { findRule } from './block/find-rule.ts'
import { BlockLists, type ListStatus } from './block/lists.ts'
import type { ListSource, Loaded } from './block/load.ts'
import { type BlockAnswer, type GroupPolicy, policyFinder } from './block/policy.ts'
import type { Layer } from './chain.ts'
import { inScope } from './client-group.ts'
import type { Answer, Outcome, Query, Reason } from './resolver.ts'

export interface BlockingOptions {
  readonly lists: readonly { readonly name: string; readonly file: string }[]
  /** Names never blocked, with all below them. */
  readonly allow: readonly string[]
  readonly allowFiles: readonly string[]
  readonly answer: BlockAnswer
  readonly ttlS: number
  /** Whether the aliases in answers are looked at too. */
  readonly cloaking: boolean
  /** Names of the lists that hold for clients of no group. */
  readonly everybody: readonly string[]
  readonly groups: readonly {
    readonly name: string
    readonly clients: readonly string[]
    readonly lists: readonly string[]
    readonly answer: BlockAnswer
  }[]
}

export interface BlockingContext {
  readonly clock: Clock
  readonly log: Log
  /** What a predecessor has loaded: it stays in force until the files have been read. */
  readonly former?: Loaded | undefined
}

export interface BlockingStatus {
  /** Different names. */
  readonly names: number
  readonly blocked: number
  readonly lists: readonly ListStatus[]
}

export interface Blocking {
  /** Above the cache: looks at the question. */
  readonly questions: Layer
  /** Below cache and dedup: looks at the aliases in an answer, once per answer. Absent when that is not wanted. */
  readonly aliases?: Layer
  /** Reads the list again, to name the line. */
  explain(question: { readonly name: string }, client: string): Promise<Reason>
  status(): BlockingStatus
  /** What keeps the cached answers of a client apart from those of others, if anything. */
  scopeOf(client: string): string | undefined
  /** The first reading of the lists. */
  readonly ready: Promise<void>
  readonly loaded: () => Loaded
  stop(): Promise<void>
}

interface Refusing {
  readonly group?: string
  readonly answer: BlockAnswer | 'nodata'
}

/** Lists and allow files share the 31 bits of a rule with the names of the settings. */
export const LISTS_MAX = 24
export const ALLOW_FILES_MAX = 6
const ALLOWED_NAMES_BIT = 1 << 30

/**
 * Refuses names that lists hold, by client group (extended error 15 for lists that hold for everybody, 17 for those of a
 * group, which its people chose). A name that a list reaches only as the target of a CNAME is found in the answer. Groups with
 * a policy of their own then need cached answers of their own, so their questions carry the group as scope.
 *
 * The lists are read in the background, so the first answers do not wait for them.
 */
export function createBlocking(options: BlockingOptions, { clock, log, former }: BlockingContext): Blocking {
  const { ttlS, cloaking } = options
  const sources = sourcesOf(options)
  const allowing = sources.reduce((bits, { use, bit }) => (use === 'allow' ? bits | bit : bits), ALLOWED_NAMES_BIT)
  const allow = { names: options.allow, bit: ALLOWED_NAMES_BIT }
  const lists = new BlockLists({ sources, allow }, { clock, log, former })
  const policyOf = policyFinder(
    { lists: bitsOf(sources, options.everybody), answer: options.answer },
    options.groups.map(
      ({ name, clients, lists: names, answer }): GroupPolicy => ({
        group: name,
        clients,
        lists: bitsOf(sources, names),
        answer,
      }),
    ),
  )
  const scopeOfPolicy = ({ group }: Refusing): string | undefined => (cloaking ? group : undefined)
  let blocked = 0

  const refuse = ({ view }: Query, policy: Refusing, list: number): Answer => {
    blocked++
    const { id } = sources.find(({ bit }) => (bit & list) !== 0)!
    return {
      kind: 'answer',
      wire: wireOf(policy.answer, view, ttlS),
      from: 'block',
      ...(policy.answer === 'refused' ? {} : { freshS: ttlS }),
      extendedErrors: [
        { code: policy.group === undefined ? EXTENDED_ERROR.BLOCKED : EXTENDED_ERROR.FILTERED, text: `list ${id}` },
      ],
    }
  }
  const withoutBlockedAliases = (query: Query, outcome: Outcome): Outcome => {
    if (outcome.kind !== 'answer' || uint16(outcome.wire, 6) === 0) return outcome
    const policy = policyOf(query.client.address)
    const { wire } = outcome
    const records = new RecordWalker(wire, query.view.questionEnd)
    while (records.next() && records.section === 'answer') {
      if (records.type !== TYPE.CNAME) continue
      const list = lists.rules.blockedBy(wire, records.rdataStart, policy.lists, allowing)
      if (list === 0) continue
      // Who allows a name means all of it, whatever it is an alias of.
      if (lists.rules.allowedBy(query.view.wire, HEADER_BYTES, policy.lists | allowing) !== 0) return outcome
      // An alias is a name that is there: NXDOMAIN would deny all names below it too (RFC 8020), which are on no list.
      return refuse(query, policy.answer === 'nxdomain' ? { ...policy, answer: 'nodata' } : policy, list)
    }
    return outcome
  }

  const aliases: Layer = (next) => ({
    id: 'block-aliases',
    resolve(query, abandoned) {
      const outcome = next.resolve(query, abandoned)
      return outcome instanceof Promise
        ? outcome.then((settled) => withoutBlockedAliases(query, settled))
        : withoutBlockedAliases(query, outcome)
    },
  })

  const stopping = new AbortController()
  const { signal } = stopping
  const ready = lists.load(signal)
  const running = ready
    .then(() => lists.run(signal))
    .catch((error: unknown) => {
      if (!signal.aborted) log.error(faultFields(error), 'block lists are no longer looked after, by a bug of ours')
    })

  return {
    ready: ready.catch(() => {}),
    loaded: () => lists.loaded,
    scopeOf: (client) => scopeOfPolicy(policyOf(client)),
    status: () => ({ names: lists.rules.blocked.names, blocked, lists: lists.status() }),
    questions: (next) => ({
      id: 'block',
      resolve(query, abandoned) {
        const { view, client } = query
        const policy = policyOf(client.address)
        if (view.questionClass === CLASS.IN) {
          const list = lists.rules.blockedBy(view.wire, HEADER_BYTES, policy.lists, allowing)
          if (list !== 0) return refuse(query, policy, list)
        }
        const scope = scopeOfPolicy(policy)
        return next.resolve(scope === undefined ? query : inScope(query, scope), abandoned)
      },
    }),
    ...(cloaking ? { aliases } : {}),
    explain: async ({ name }, client) => {
      const policy = policyOf(client)
      const wire = nameToWire(name)
      assert(wire, `${name} is a domain name`)
      const reason = (says: string, decides = false): Reason => ({ layer: 'block', says, decides })
      const whose = policy.group === undefined ? '' : ` for group ${policy.group}`
      const blocking = lists.rules.blockedBy(wire, 0, policy.lists, allowing)
      if (blocking !== 0) {
        const source = sources.find(({ bit }) => (bit & blocking) !== 0)!
        const rule = await ruleText(source, name, (isException) => !isException)
        return reason(`blocked${whose} by list ${source.id}: ${rule}; answered with ${policy.answer}`, true)
      }
      const excepting = lists.rules.allowedBy(wire, 0, policy.lists | allowing)
      if (excepting === 0) return reason(`on no list${whose}`)
      if ((excepting & ALLOWED_NAMES_BIT) !== 0) return reason('allowed by block.allow')
      const source = sources.find(({ bit }) => (bit & excepting) !== 0)!
      const rule = await ruleText(source, name, (isException) => source.use === 'allow' || isException)
      return reason(`allowed by list ${source.id}: ${rule}`)
    },
    stop: async () => {
      stopping.abort()
      await running
    },
  }
}

function sourcesOf({ lists, allowFiles }: BlockingOptions): readonly ListSource[] {
  assert(lists.length <= LISTS_MAX && allowFiles.length <= ALLOW_FILES_MAX, 'the settings were checked')
  return [
    ...lists.map(({ name, file }, index) => ({ id: name, path: file, use: 'block', bit: 1 << index }) as const),
    ...allowFiles.map((path, index) => ({ id: path, path, use: 'allow', bit: 1 << (LISTS_MAX + index) }) as const),
  ]
}

function bitsOf(sources: readonly ListSource[], names: readonly string[]): number {
  return sources.reduce((bits, { id, use, bit }) => (use === 'block' && names.includes(id) ? bits | bit : bits), 0)
}

function wireOf(answer: Refusing['answer'], view: Query['view'], ttlS: number): Uint8Array {
  if (answer === 'refused') return buildReply(view, { rcode: RCODE.REFUSED })
  if (answer === 'nodata') return noData(view, ttlS)
  return answer === 'zero' ? zeroAddress(view, ttlS) : noName(view, ttlS)
}

async function ruleText(
  source: ListSource,
  name: string,
  isWanted: (isException: boolean) => boolean,
): Promise<string> {
  try {
    const rule = await findRule(source.path, name, isWanted)
    if (!rule) return `${source.path} had the rule when it was read last`
    return `${source.path}:${rule.line} ${rule.name}${rule.isExact ? '' : ' and all below it'}`
  } catch (error) {
    return `${source.path} had the rule when it was read last (${reasonOf(error)})`
  }
}
