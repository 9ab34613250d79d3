import type { Clock } from '../../core/clock.ts'
import { explain, type Log } from '../../core/log.ts'
import { RCODE, rcodeName, typeName } from '../../dns/codes.ts'
import type { Presence } from '../discovery/presence.ts'
import type { Layer } from './chain.ts'
import { answerFrom } from './local/answer.ts'
import { buildTree, type ConfiguredZone } from './local/build-tree.ts'
import { type Home, type HostStatus, homeOf } from './local/home.ts'
import { type FileProblem, type HostFile, readHostFiles, stampOf } from './local/host-files.ts'
import { type Said, saidOf } from './local/lookup.ts'
import { type OwnName, ownNames } from './local/own-name.ts'
import type { LocalTree } from './local/tree.ts'
import { watchPaths } from './local/watch.ts'
import { nameKey, TYPE_AND_CLASS_BYTES } from './name-key.ts'
import type { Explain } from './resolver.ts'

export interface LocalOptions {
  /** Where the hosts of this home are, beside home.arpa. */
  readonly domain: string
  readonly zones: readonly ConfiguredZone[]
  readonly hostFiles: readonly HostFile[]
  /** Special names to ask upstream all the same, and domains that have upstreams of their own. */
  readonly askedUpstream: readonly string[]
}

export interface LocalContext {
  readonly clock: Clock
  readonly log: Log
  readonly presence: () => Presence
}

export interface Local {
  readonly layer: Layer
  readonly explain: Explain
  /** At or below a local zone, a special name or a domain asked upstream by the settings; or a host we know. */
  isLocalName(name: string): boolean
  /** What the files call the host at this address. */
  hostName(address: string): string | undefined
  hosts(): readonly HostStatus[]
  stop(): Promise<void>
}

/** What `hearth local show` prints. */
export interface LocalStatus {
  readonly hosts: readonly HostStatus[]
}

/**
 * What we answer ourselves, online or off: our own name, special names (dns §9.8), zones of the settings and the hosts of
 * this home. The files that name hosts are read before the first answer, and again whenever they change.
 */
export async function createLocal(options: LocalOptions, { clock, log, presence }: LocalContext): Promise<Local> {
  const stopping = new AbortController()
  const reported = new Reported(log)
  let stamp = ''
  let home: Home
  let tree: LocalTree
  const read = async (): Promise<void> => {
    // Before reading: what changes meanwhile is then seen the next time.
    stamp = await stampOf(options.hostFiles)
    const { hosts, problems } = await readHostFiles(options.hostFiles)
    reported.report(problems)
    home = homeOf(hosts, { domain: options.domain, ownName: presence().name }, clock.nowMs())
    tree = buildTree(options, home.hosts)
  }
  const look = async (): Promise<void> => {
    try {
      if (clock.nowMs() >= home.staleAtMs || (await stampOf(options.hostFiles)) !== stamp) await read()
    } catch (error) {
      log.error(explain(error), 'the hosts of this home are not read again, those known before stay')
    }
  }
  await read()
  const paths = options.hostFiles.map(({ path }) => path)
  const watching = paths.length > 0 ? watchPaths(paths, look, { clock, signal: stopping.signal }) : Promise.resolve()

  let own: { readonly presence: Presence; readonly names: ReadonlyMap<string, OwnName> } | undefined
  const ownName = (key: string): OwnName | undefined => {
    const current = presence()
    if (own?.presence !== current) own = { presence: current, names: ownNames(current) }
    return own.names.get(key)
  }
  const say = (name: string, type: number): Said | undefined => {
    const key = nameKey(name)
    const finding = tree.find(key, key.length)
    return ownName(key)?.(type) ?? (finding && saidOf(finding, name, type))
  }

  return {
    layer: (next) => ({
      id: 'local',
      resolve(query, signal) {
        const { view } = query
        const key = view.questionKey
        const nameEnd = key.length - TYPE_AND_CLASS_BYTES
        const known = ownName(key.slice(0, nameEnd))
        const finding = known ? undefined : tree.find(key, nameEnd)
        if (!known && !finding) return next.resolve(query, signal)
        const type = view.questionType
        const said = known ? known(type) : saidOf(finding!, view.questionName, type)
        return said ? answerFrom(said, query, say, next, signal) : next.resolve(query, signal)
      },
    }),
    explain({ name, type }) {
      const said = say(name, type)
      if (said) return { layer: 'local', says: `${said.source}: ${verdictOf(said, type)}`, decides: true }
      const key = nameKey(name)
      const zone = tree.find(key, key.length)?.zone
      return zone && { layer: 'local', says: `${zone.source}: nothing known, the next layer is asked`, decides: false }
    },
    isLocalName(name) {
      const key = nameKey(name)
      return ownName(key) !== undefined || tree.find(key, key.length) !== undefined
    },
    hostName: (address) => home.nameByAddress.get(address),
    hosts: () => home.status,
    async stop() {
      stopping.abort()
      await watching
    },
  }
}

function verdictOf({ rcode, answers, alias }: Said, type: number): string {
  if (alias !== undefined) return `an alias of ${alias}`
  if (rcode !== RCODE.NOERROR) return rcodeName(rcode)
  return answers.length > 0 ? `${answers.length} ${typeName(answers[0]!.type)}` : `no ${typeName(type)} data`
}

/** Says what is wrong with a file once, not at every look. */
class Reported {
  readonly #log: Log
  #known: ReadonlySet<string> = new Set()

  constructor(log: Log) {
    this.#log = log
  }

  report(problems: readonly FileProblem[]): void {
    const now = new Map(problems.map((found) => [`${found.file}: ${found.problem}`, found]))
    for (const [words, found] of now)
      if (!this.#known.has(words)) this.#log.warn(found, 'a file of hosts is not read whole')
    this.#known = new Set(now.keys())
  }
}
