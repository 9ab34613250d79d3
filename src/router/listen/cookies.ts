import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { addressToBytes } from '../../dns/address.ts'
import { EDNS_OPTION } from '../../dns/codes.ts'
import { CLIENT_COOKIE_BYTES, judgeCookie, makeCookie } from '../../dns/cookie.ts'
import { type EdnsOption, type EdnsView, findOption } from '../../dns/edns.ts'

/** Long against the hour a cookie lives, short against the time it takes to find a key of 128 bits. */
const SECRET_MS = 24 * 3_600_000
const SECRET_BYTES = 16

/** DNS cookies (RFC 7873, RFC 9018): one instance for all listeners of the router. */
export interface ServerCookies {
  /** Undefined when the query has no COOKIE option; the length of the option has been checked. */
  answerTo(edns: EdnsView, address: string): CookieAnswer | undefined
}

export interface CookieAnswer {
  readonly option: EdnsOption
  /** It sent a server cookie that is not ours, too old, or for another address. */
  readonly rejected: boolean
}

/**
 * The secret lives in memory only: after a restart every client is given a new cookie with its next answer, which costs it
 * nothing, because a bad cookie is answered all the same (RFC 7873 §5.2.3).
 */
export function serverCookies(clock: Clock): ServerCookies {
  let secret: Uint8Array = randomBytes(SECRET_BYTES)
  let before: Uint8Array | undefined
  let sinceMs = clock.monotonicMs()

  const rotate = (): void => {
    const nowMs = clock.monotonicMs()
    if (nowMs - sinceMs < SECRET_MS) return
    before = nowMs - sinceMs < 2 * SECRET_MS ? secret : undefined
    secret = randomBytes(SECRET_BYTES)
    sinceMs = nowMs
  }

  return {
    answerTo(edns, address) {
      const sent = findOption(edns, EDNS_OPTION.COOKIE)
      const client = sent && addressToBytes(address)
      if (!client) return undefined
      rotate()
      const nowS = Math.floor(clock.nowMs() / 1000)
      const verdict = judgeCookie(secret, sent, client, nowS)
      if (verdict === 'good') return { option: optionOf(Uint8Array.from(sent)), rejected: false }
      const isGood =
        verdict === 'renew' ||
        sent.length === CLIENT_COOKIE_BYTES ||
        (before !== undefined && judgeCookie(before, sent, client, nowS) !== 'bad')
      return { option: optionOf(makeCookie(secret, sent, client, nowS)), rejected: !isGood }
    },
  }
}

function optionOf(data: Uint8Array): EdnsOption {
  return { code: EDNS_OPTION.COOKIE, data }
}
