import { Fault } from '../../src/core/fault.ts'
import { RCODE, TYPE } from '../../src/dns/codes.ts'
import { buildMessage } from '../../src/dns/message.ts'
import { MessageView } from '../../src/dns/view.ts'
import { createPatience, Member } from '../../src/router/resolve/member.ts'
import { createPool } from '../../src/router/resolve/pool.ts'
import type { Outcome, Query, Resolver, Upstream } from '../../src/router/resolve/resolver.ts'
import type { Strategy } from '../../src/router/resolve/strategy.ts'
import { answerOf } from '../../src/router/upstream/wire.ts'
import { recordingLog } from './log.ts'
import { ManualClock } from './manual-clock.ts'
import { queryOf, queryWire, responseWire } from './query.ts'

export const PROBE = MessageView.over(queryWire('.', TYPE.NS))!
const NEVER = new AbortController().signal

/** What a scripted upstream does with a question. */
export type Behaviour =
  | { readonly kind: 'answers'; readonly afterMs: number; readonly rcode?: number }
  /** Until the deadline of the question, as a link that is gone. */
  | { readonly kind: 'silent' }
  | { readonly kind: 'unreachable' }

export const answers = (afterMs = 10, rcode?: number): Behaviour => ({
  kind: 'answers',
  afterMs,
  ...(rcode === undefined ? {} : { rcode }),
})
export const SILENT: Behaviour = { kind: 'silent' }
export const UNREACHABLE: Behaviour = { kind: 'unreachable' }

/** An upstream on the manual clock. Probes (`. NS`, or SOA for a route) follow `probe` where that differs from the rest. */
export class ScriptedUpstream implements Upstream {
  readonly id: string
  readonly #clock: ManualClock
  does: Behaviour
  probe: Behaviour | undefined
  /** Moments at which it was asked, on the monotonic clock. */
  readonly questions: number[] = []
  readonly probes: number[] = []
  resets = 0
  closed = false

  constructor(id: string, clock: ManualClock, does: Behaviour = answers()) {
    this.id = id
    this.#clock = clock
    this.does = does
  }

  async resolve({ view, deadlineMs }: Query): Promise<Outcome> {
    const nowMs = this.#clock.monotonicMs()
    const isProbe = view.questionName === '.' || view.questionType === TYPE.SOA
    ;(isProbe ? this.probes : this.questions).push(nowMs)
    const does = (isProbe ? this.probe : undefined) ?? this.does
    if (does.kind === 'unreachable') throw new Fault('UPSTREAM_UNREACHABLE', `no connection to ${this.id}`)
    const leftMs = Math.max(0, deadlineMs - nowMs)
    if (does.kind === 'answers' && does.afterMs <= leftMs) {
      if (does.afterMs > 0) await this.#clock.sleep(does.afterMs)
      const { rcode = RCODE.NOERROR } = does
      const wire =
        rcode === RCODE.NOERROR
          ? responseWire(view.wire, ['192.0.2.1'])
          : buildMessage({
              isResponse: true,
              rcode,
              questions: [{ name: view.questionName, type: view.questionType, class: 1 }],
            })
      return answerOf(wire, this.id, 'unauthenticated')
    }
    await this.#clock.sleep(leftMs)
    throw new Fault('UPSTREAM_TIMEOUT', `${this.id} did not answer in time`)
  }

  reset(): void {
    this.resets++
  }

  close(): void {
    this.closed = true
  }
}

/** A pool on a manual clock, its log, and how often it said that an upstream is there again. */
export function poolOf(
  make: (clock: ManualClock) => readonly Resolver[],
  options: { readonly strategy?: Strategy; readonly random?: () => number } = {},
) {
  const clock = new ManualClock()
  const { log, lines } = recordingLog()
  let recoveries = 0
  const patience = createPatience(clock)
  const context = { clock, log, onRecovery: () => void recoveries++ }
  const members = make(clock).map((upstream) => new Member(upstream, PROBE, patience, context))
  const { strategy = 'failover', random = () => 0.99 } = options
  const pool = createPool(members, { strategy, clock, random })
  /** Asks now; the answer and when it came. */
  const ask = async (withinMs = 5_000, signal: AbortSignal = NEVER) => {
    const startMs = clock.monotonicMs()
    const outcome = await pool.resolve(queryOf(queryWire('a.example'), 'udp', startMs + withinMs), signal)
    if (outcome.kind !== 'answer') throw new Error('dropped')
    return { ...outcome, rcode: outcome.wire[3]! & 0x0f, tookMs: clock.monotonicMs() - startMs }
  }
  /** The same, with the clock moved until it is there. */
  const asked = async (withinMs = 5_000) => {
    let done = false
    const answer = ask(withinMs).finally(() => (done = true))
    for (let turn = 0; turn < 1_000 && !done; turn++) await clock.advance(10)
    return answer
  }
  return {
    clock,
    pool,
    members,
    lines,
    ask,
    asked,
    get recoveries() {
      return recoveries
    },
    stop: () => members.forEach((member) => member.stop()),
  }
}
