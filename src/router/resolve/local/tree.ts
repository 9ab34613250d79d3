import { isDeepStrictEqual } from 'node:util'
import type { AuthoredRecord } from '../../../dns/build.ts'
import { TYPE } from '../../../dns/codes.ts'
import { nameKey } from '../name-key.ts'
import type { Zone } from './zone.ts'

/** What is at one name. A node without records and zone is there because a name below it is (RFC 4592 §2.2.2). */
export interface Node {
  records: AuthoredRecord[]
  /** Where the records come from, for people. */
  source: string
  /** The name is the apex of this zone. */
  zone?: Zone
  hasDname: boolean
  children?: Map<string, Node>
}

/** Where the walk from the root ended. */
export interface Finding {
  /** The zone in force there; absent when only the name itself is ours. */
  readonly zone: Zone | undefined
  /** The name itself, the wildcard that stands for it, or the DNAME above it; absent when there is none. */
  readonly node: Node | undefined
  readonly by: 'name' | 'wildcard' | 'dname' | 'nothing'
}

/**
 * All names we answer for, by label from the root. Built once, then only read; a change builds a new one. A name that
 * nothing here leads to costs one look into the map of top-level labels.
 */
export class LocalTree {
  readonly #root: Node = emptyNode()

  addZone(zone: Zone, records: readonly AuthoredRecord[] = []): void {
    this.#nodeAt(zone.name).zone = zone
    for (const record of records) this.add(record, zone.source)
  }

  add(record: AuthoredRecord, source: string): void {
    const node = this.#nodeAt(record.name)
    if (node.records.length === 0) node.source = source
    // A set has no record twice (RFC 2181 §5).
    if (!node.records.some((other) => isSame(other, record))) node.records.push(record)
    node.hasDname ||= record.type === TYPE.DNAME
  }

  /** Undefined: neither the name nor anything above it is ours. `key` is a name as `nameKey` spells it, up to `end`. */
  find(key: string, end: number): Finding | undefined {
    // A name has at most 127 labels.
    let count = 0
    for (let at = 0; at < end - 1; at += key.charCodeAt(at) + 1) starts[count++] = at
    let node = this.#root
    let { zone } = node
    while (count > 0) {
      const start = starts[count - 1]!
      const child = node.children?.get(key.slice(start + 1, start + 1 + key.charCodeAt(start)))
      if (!child) break
      count--
      node = child
      zone = child.zone ?? zone
      if (child.hasDname && count > 0) return { zone, node, by: 'dname' }
    }
    if (count === 0 && (zone || node.records.length > 0)) return { zone, node, by: 'name' }
    if (!zone) return undefined
    // Only the closest encloser's wildcard counts: a name that exists hides those further up (RFC 4592 §3.3.1).
    const wildcard = count > 0 ? node.children?.get('*') : undefined
    return wildcard ? { zone, node: wildcard, by: 'wildcard' } : { zone, node: undefined, by: 'nothing' }
  }

  /** Whether something is said of this very name. */
  has(name: string): boolean {
    let node: Node | undefined = this.#root
    for (const label of labelsFromRoot(name)) node = node?.children?.get(label)
    return node !== undefined && (node.zone !== undefined || node.records.length > 0)
  }

  #nodeAt(name: string): Node {
    let node = this.#root
    for (const label of labelsFromRoot(name)) {
      node.children ??= new Map()
      let child = node.children.get(label)
      if (!child) node.children.set(label, (child = emptyNode()))
      node = child
    }
    return node
  }
}
/** Where the labels of the name in hand start; walks do not nest. */
const starts = new Uint8Array(128)

function emptyNode(): Node {
  return { records: [], source: '', hasDname: false }
}

function isSame(a: AuthoredRecord, b: AuthoredRecord): boolean {
  return a.type === b.type && isDeepStrictEqual(a.rdata, b.rdata)
}

function labelsFromRoot(name: string): readonly string[] {
  // Nearly every name, and a tree has many.
  if (PLAIN_NAME.test(name)) return name.split('.').toReversed()
  const key = nameKey(name)
  const labels: string[] = []
  for (let at = 0; at < key.length - 1; at += key.charCodeAt(at) + 1)
    labels.push(key.slice(at + 1, at + 1 + key.charCodeAt(at)))
  return labels.toReversed()
}
/** Its text is what its octets spell. */
const PLAIN_NAME = /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/
