import { describe, expect, it } from 'vitest'
import { EDNS_OPTION, TYPE } from '../../../src/dns/codes.ts'
import { MessageView } from '../../../src/dns/view.ts'
import { type CookieAnswer, type ServerCookies, serverCookies } from '../../../src/router/listen/cookies.ts'
import { ManualClock } from '../../support/manual-clock.ts'
import { queryWire } from '../../support/query.ts'

const HOUR_MS = 3_600_000
const CLIENT_COOKIE = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)

function ask(cookies: ServerCookies, data: Uint8Array, address = '192.0.2.1'): CookieAnswer {
  const options = [{ code: EDNS_OPTION.COOKIE, data }]
  const wire = queryWire('a.example', TYPE.A, { edns: { udpSize: 1232, version: 0, dnssecOk: false, options } })
  return cookies.answerTo(MessageView.over(wire)!.edns!, address)!
}

describe('a server cookie', () => {
  it('is handed to who sends none, begins with the client cookie, and is good for its address', () => {
    const cookies = serverCookies(new ManualClock())
    const { option, rejected } = ask(cookies, CLIENT_COOKIE)
    expect([option.code, option.data.length, rejected]).toEqual([EDNS_OPTION.COOKIE, 24, false])
    expect(option.data.subarray(0, 8)).toEqual(CLIENT_COOKIE)
    expect(ask(cookies, option.data)).toEqual({ option, rejected: false })
    expect(ask(cookies, option.data, '192.0.2.2').rejected).toBe(true)
    expect(ask(cookies, option.data, 'fd00::1').rejected).toBe(true)
  })

  it('is kept for half an hour, replaced until it is an hour old, then rejected and replaced all the same', async () => {
    const clock = new ManualClock()
    const cookies = serverCookies(clock)
    const { option } = ask(cookies, CLIENT_COOKIE)
    await clock.advance(HOUR_MS / 2)
    expect(ask(cookies, option.data).option.data).toEqual(option.data)
    await clock.advance(1_000)
    const renewed = ask(cookies, option.data)
    expect(renewed.rejected).toBe(false)
    expect(renewed.option.data).not.toEqual(option.data)
    await clock.advance(HOUR_MS / 2)
    const late = ask(cookies, option.data)
    expect([late.rejected, ask(cookies, late.option.data).rejected]).toEqual([true, false])
  })

  it('outlives a change of the secret, once', async () => {
    const clock = new ManualClock()
    const cookies = serverCookies(clock)
    await clock.advance(24 * HOUR_MS - 60_000)
    const { option } = ask(cookies, CLIENT_COOKIE)
    await clock.advance(120_000)
    const after = ask(cookies, option.data)
    expect(after.rejected).toBe(false)
    expect(after.option.data).not.toEqual(option.data)
    await clock.advance(10 * 24 * HOUR_MS)
    expect(ask(cookies, after.option.data).rejected).toBe(true)
  })

  it('of another process is rejected: the secret is random', () => {
    const clock = new ManualClock()
    const { option } = ask(serverCookies(clock), CLIENT_COOKIE)
    expect(ask(serverCookies(clock), option.data).rejected).toBe(true)
  })

  it('is not for queries without a COOKIE option', () => {
    const edns = { udpSize: 1232, version: 0, dnssecOk: false, options: [{ code: 100, data: CLIENT_COOKIE }] }
    const view = MessageView.over(queryWire('a.example', TYPE.A, { edns }))!
    expect(serverCookies(new ManualClock()).answerTo(view.edns!, '192.0.2.1')).toBeUndefined()
  })
})
