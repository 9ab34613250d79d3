import { randomFillSync } from 'node:crypto'
import { Fault } from '../../core/fault.ts'
import type { Answer, Query } from '../resolve/resolver.ts'

/** The most one server is sent the same question over one transport (RFC 9520 §3.1). */
export const SENDS_MAX = 3

/** One question on its way to one upstream, until `settle` or `fail` is called, once. */
export class Question {
  #query: Query | undefined
  #settle: ((answer: Answer) => void) | undefined
  #fail: ((error: unknown) => void) | undefined
  /** How often it has been sent over this transport. */
  sends = 0
  /** How much its connection had read when it was sent: tells a slow server from a dead link. */
  readAtSend = 0
  /** Whether it was last sent with an OPT record. */
  edns = true

  constructor(query: Query, settle: (answer: Answer) => void, fail: (error: unknown) => void) {
    this.#query = query
    this.#settle = settle
    this.#fail = fail
  }

  /** Only until it is over. */
  get query(): Query {
    return this.#query!
  }

  settle(answer: Answer): void {
    this.#settle?.(answer)
    this.#letGo()
  }

  fail(error: unknown): void {
    this.#fail?.(error)
    this.#letGo()
  }

  /**
   * The tables of open questions that V8 has replaced keep what was in them. Those that reached the old generation do so
   * until its next collection, and with a question all that waited for it.
   */
  #letGo(): void {
    this.#query = undefined
    this.#settle = undefined
    this.#fail = undefined
  }
}

/** The promise of an answer; `put` sees to it that the question is asked. */
export function asked(query: Query, put: (question: Question) => void): Promise<Answer> {
  return new Promise((settle, fail) => put(new Question(query, settle, fail)))
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
