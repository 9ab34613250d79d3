import { stat } from 'node:fs/promises'
import { Fault } from '../../../core/fault.ts'
import { Fingerprint, type FingerprintSeed } from './fingerprint.ts'
import type { LineRule } from './read-line.ts'
import { type LineCounts, readList } from './read-list.ts'
import { addName, RuleSet } from './rule-set.ts'

/** Different names of all lists: 75 MB of memory. The largest public collections have a third of that. */
const NAMES_MAX = 5_000_000

/** A file with rules. Those of an `allow` file are all exceptions, for everybody. */
export interface ListSource {
  readonly id: string
  readonly path: string
  readonly use: 'block' | 'allow'
  readonly bit: number
}

export interface LoadedList {
  readonly source: ListSource
  /** Of the file as it was read. */
  readonly stamp: string
  readonly counts: LineCounts
  readonly blocked: number
  readonly allowed: number
}

export interface Loaded {
  readonly rules: RuleSet
  readonly lists: readonly LoadedList[]
  /** Why lists are not as their files are; what was loaded before is then still among `lists`. */
  readonly problems: readonly { readonly source: ListSource; readonly stamp: string; readonly fault: Fault }[]
}

export interface AllowedNames {
  readonly names: readonly string[]
  readonly bit: number
}

export const NO_FILE = 'no file'

/** What changes when the file does. */
export async function stampOf(path: string): Promise<string> {
  try {
    const { mtimeMs, size, ino } = await stat(path)
    return `${mtimeMs} ${size} ${ino}`
  } catch {
    return NO_FILE
  }
}

/**
 * Makes a new set of rules beside the old one: each list is read twice, first to count and so to make the table once and
 * for all. Lists whose file has not changed, or cannot be read, are copied from `former`. Lets others run all the while.
 */
export async function loadRules(
  sources: readonly ListSource[],
  allow: AllowedNames,
  seed: FingerprintSeed,
  former: Loaded | undefined,
  signal?: AbortSignal,
): Promise<Loaded> {
  const lists: LoadedList[] = []
  const kept = new Map<LoadedList, number>()
  const problems: Loaded['problems'][number][] = []
  let total = 0
  for (const source of sources) {
    const before = former?.lists.find(({ source: { path, use } }) => path === source.path && use === source.use)
    const stamp = await stampOf(source.path)
    let list = before && { ...before, source }
    if (before?.stamp !== stamp) {
      try {
        list = await count(source, stamp, NAMES_MAX - total, signal)
      } catch (error) {
        if (!(error instanceof Fault)) throw error
        problems.push({ source, stamp, fault: error })
      }
    }
    if (!list) continue
    if (before && list.stamp === before.stamp) kept.set(list, before.source.bit)
    total += list.counts.names
    lists.push(list)
  }

  const sum = (of: 'blocked' | 'allowed'): number => lists.reduce((names, list) => names + list[of], 0)
  const rules = new RuleSet(seed, { blocked: sum('blocked'), allowed: sum('allowed') + allow.names.length })
  for (const list of lists) {
    const formerBit = kept.get(list)
    if (formerBit === undefined) await fill(rules, list, signal)
    else await copy(former!.rules, formerBit, rules, list)
  }
  const fingerprint = new Fingerprint(seed)
  for (const name of allow.names) {
    const octets = Buffer.from(name, 'latin1')
    addName(fingerprint, octets, 0, octets.length)
    rules.allowed.add(fingerprint, allow.bit)
  }
  return { rules, lists, problems }
}

async function count(source: ListSource, stamp: string, namesMax: number, signal?: AbortSignal): Promise<LoadedList> {
  let allowed = 0
  const counts = await readList(
    source.path,
    (_octets, rule) => {
      if (isAllowing(source, rule)) allowed++
    },
    signal,
  )
  if (counts.names > namesMax)
    throw new Fault('LIST_UNREADABLE', `${source.path} brings the lists to more than ${NAMES_MAX} names`, {
      path: source.path,
    })
  return { source, stamp, counts, allowed, blocked: counts.names - allowed }
}

async function fill(rules: RuleSet, { source, blocked, allowed }: LoadedList, signal?: AbortSignal): Promise<void> {
  const fingerprint = new Fingerprint(rules.seed)
  const left = { blocked, allowed }
  await readList(
    source.path,
    (octets, rule) => {
      const use = isAllowing(source, rule) ? 'allowed' : 'blocked'
      if (left[use]-- <= 0)
        throw new Fault('LIST_UNREADABLE', `${source.path} changed while it was read`, { path: source.path })
      addName(fingerprint, octets, rule.nameStart, rule.nameEnd)
      if (rule.isExact) fingerprint.makeExact()
      rules[use].add(fingerprint, source.bit)
    },
    signal,
  )
}

async function copy(from: RuleSet, formerBit: number, to: RuleSet, { source }: LoadedList): Promise<void> {
  await from.blocked.copy(formerBit, (fingerprint) => void to.blocked.add(fingerprint, source.bit))
  await from.allowed.copy(formerBit, (fingerprint) => void to.allowed.add(fingerprint, source.bit))
}

function isAllowing(source: ListSource, rule: LineRule): boolean {
  return source.use === 'allow' || rule.isException
}
