import { Allowance } from './allowance.ts'
import { ConnectionError } from './error.ts'
import { PINGS, QUIET_FRAMES, QUIET_FRAMES_PER_REQUEST, RESETS, SETTINGS_FRAMES } from './limits.ts'

/** Counts the frames of one connection that cost work and bring no request. */
export class Floods {
  readonly #resets: Allowance
  readonly #pings: Allowance
  readonly #settings: Allowance
  readonly #quiet: Allowance

  constructor(nowMs: number) {
    this.#resets = new Allowance(RESETS, nowMs)
    this.#pings = new Allowance(PINGS, nowMs)
    this.#settings = new Allowance(SETTINGS_FRAMES, nowMs)
    this.#quiet = new Allowance(QUIET_FRAMES, nowMs)
  }

  /** Each of these throws ConnectionError ENHANCE_YOUR_CALM (RFC 9113 §10.5) for the one that is too many. */
  reset(nowMs: number): void {
    spend(this.#resets, nowMs, 'streams reset')
  }
  ping(nowMs: number): void {
    spend(this.#pings, nowMs, 'PING frames')
  }
  settings(nowMs: number): void {
    spend(this.#settings, nowMs, 'SETTINGS frames')
  }
  /** All other frames that are no part of a request. */
  quiet(nowMs: number): void {
    spend(this.#quiet, nowMs, 'frames without a request')
  }

  request(): void {
    this.#quiet.give(QUIET_FRAMES_PER_REQUEST)
  }
}

function spend(allowance: Allowance, nowMs: number, what: string): void {
  if (!allowance.take(nowMs)) throw new ConnectionError('ENHANCE_YOUR_CALM', `too many ${what}`)
}
