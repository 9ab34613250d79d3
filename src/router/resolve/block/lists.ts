import { randomInt } from 'node:crypto'
import type { Clock } from '../../../core/clock.ts'
import { explain, type Log } from '../../../core/log.ts'
import { type AllowedNames, type ListSource, type Loaded, loadRules, stampOf } from './load.ts'
import { RuleSet } from './rule-set.ts'

/** How often the files are looked at. One that has changed is read when it is the same at two looks: it is then whole. */
const LOOK_MS = 10_000

export interface ListStatus {
  readonly name: string
  readonly file: string
  readonly use: 'block' | 'allow'
  /** Rules in force, exceptions included; 0 until the list has been read. */
  readonly names: number
  /** Lines of the file that say nothing to a resolver: rules for browsers, names in other scripts, no rules at all. */
  readonly skippedLines: number
  /** Why the list is not as its file is. */
  readonly problem?: string
}

/** The rules in force, and what keeps them like the files. Nobody waits for it: names are let through until it has read them. */
export class BlockLists {
  readonly #sources: readonly ListSource[]
  readonly #allow: AllowedNames
  readonly #clock: Clock
  readonly #log: Log
  #loaded: Loaded
  /** As the files were at the last look. */
  #stamps = ''
  /** Of the files that the last attempt was about, so that what failed is not tried again until it changes. */
  #tried = ''

  /** What `former` has loaded stays in force until the files have been read again. */
  constructor(
    { sources, allow }: { readonly sources: readonly ListSource[]; readonly allow: AllowedNames },
    { clock, log, former }: { readonly clock: Clock; readonly log: Log; readonly former?: Loaded | undefined },
  ) {
    this.#sources = sources
    this.#allow = allow
    this.#clock = clock
    this.#log = log
    const seed = former?.rules.seed ?? { high: randomInt(2 ** 32), low: randomInt(2 ** 32) }
    this.#loaded = former ?? { rules: new RuleSet(seed, { blocked: 0, allowed: 0 }), lists: [], problems: [] }
  }

  get rules(): RuleSet {
    return this.#loaded.rules
  }
  /** For a successor. */
  get loaded(): Loaded {
    return this.#loaded
  }

  status(): readonly ListStatus[] {
    const { lists, problems } = this.#loaded
    return this.#sources.map(({ id, path, use }) => {
      const list = lists.find(({ source }) => source.path === path && source.use === use)
      const problem = problems.find(({ source }) => source.path === path && source.use === use)
      const { names = 0, unsupported = 0, international = 0, malformed = 0 } = list?.counts ?? {}
      const skippedLines = unsupported + international + malformed
      return {
        name: id,
        file: path,
        use,
        names,
        skippedLines,
        ...(problem ? { problem: problem.fault.message } : {}),
      }
    })
  }

  /** Reads the lists now. Rejects only when aborted. */
  async load(signal?: AbortSignal): Promise<void> {
    const startedMs = this.#clock.monotonicMs()
    this.#tried = await this.#look()
    const before = this.#loaded
    try {
      this.#loaded = await loadRules(this.#sources, this.#allow, before.rules.seed, before, signal)
    } catch (error) {
      signal?.throwIfAborted()
      // It changed under our hands: the next look finds it.
      this.#tried = ''
      return this.#log.warn(explain(error), 'block lists are not read, the old rules stay in force')
    }
    const { rules, problems } = this.#loaded
    const known = new Set(before.problems.map(problemKey))
    for (const problem of problems)
      if (!known.has(problemKey(problem)))
        this.#log.warn({ list: problem.source.id, ...explain(problem.fault) }, 'a block list is not read')
    const ms = Math.round(this.#clock.monotonicMs() - startedMs)
    this.#log.info({ names: rules.blocked.names, exceptions: rules.allowed.names, ms }, 'block lists are loaded')
  }

  /** Keeps the rules like the files until aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#clock.sleep(LOOK_MS, signal)
      const before = this.#stamps
      const now = await this.#look()
      if (now === before && now !== this.#tried) await this.load(signal)
    }
  }

  async #look(): Promise<string> {
    const stamps = await Promise.all(this.#sources.map(({ path }) => stampOf(path)))
    this.#stamps = stamps.join('\n')
    return this.#stamps
  }
}

/** The same file with the same problem is worth one line in the log. */
function problemKey({ source, stamp, fault }: Loaded['problems'][number]): string {
  return `${source.path}\n${stamp}\n${fault.message}`
}
