import { randomFillSync } from 'node:crypto'
import { Fault } from '../../core/fault.ts'
import type { Answer, Query } from '../resolve/resolver.ts'

/** The most one server is sent the same question over one transport (RFC 9520 §3.1). */
export const SENDS_MAX = 3

/** One question on its way to one upstream, until `settle` or `fail` is called, once. */
export interface Question {
  readonly query: Query
  readonly settle: (answer: Answer) => void
  readonly fail: (error: unknown) => void
  /** How often it has been sent over this transport. */
  sends: number
  /** How much its connection had read when it was sent: tells a slow server from a dead link. */
  readAtSend: number
  /** Whether it was last sent with an OPT record. */
  edns: boolean
}

/** The promise of an answer; `put` sees to it that the question is asked. */
export function asked(query: Query, put: (question: Question) => void): Promise<Answer> {
  return new Promise((settle, fail) => put({ query, settle, fail, sends: 0, readAtSend: 0, edns: true }))
}

export function deadlineFault(upstream: string): Fault {
  return new Fault('UPSTREAM_TIMEOUT', `${upstream} did not answer in time`, { upstream })
}

export function overloadFault(upstream: string): Fault {
  return new Fault('UPSTREAM_TIMEOUT', `${upstream} has too many questions open`, { upstream })
}

export function closedFault(upstream: string): Fault {
  return new Fault('UPSTREAM_UNREACHABLE', `${upstream} is no longer in use`, { upstream })
}

export function refusedFault(upstream: string): Fault {
  return new Fault('UPSTREAM_BROKEN', `${upstream} cannot read the question, with an OPT record or without`, {
    upstream,
  })
}

/** Drawn ahead: asking the system's generator costs a microsecond, for 2 octets as for 4096. */
const RANDOM_OCTETS = 4096
const drawn = Buffer.alloc(RANDOM_OCTETS)
let used = RANDOM_OCTETS

/** Sixteen bits of the system's generator, each used once (RFC 5452 §9.2). */
export function random16(): number {
  if (used === RANDOM_OCTETS) {
    randomFillSync(drawn)
    used = 0
  }
  const value = drawn.readUInt16BE(used)
  // Whoever reads our memory later learns nothing about what was asked.
  drawn.writeUInt16BE(0, used)
  used += 2
  return value
}

/** An id that is not in use. The table must have room: it is far smaller than the 65,536 ids there are. */
export function freeId(taken: ReadonlyMap<number, unknown>): number {
  let id = random16()
  while (taken.has(id)) id = random16()
  return id
}
