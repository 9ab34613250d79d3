import { describe, expect, it } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import { RCODE } from '../../../src/dns/codes.ts'
import { answers, type Behaviour, poolOf, ScriptedUpstream, SILENT, UNREACHABLE } from '../../support/pool.ts'

/** One upstream alone. */
function alone(does: Behaviour, probe?: Behaviour) {
  let upstream!: ScriptedUpstream
  const world = poolOf((clock) => {
    upstream = new ScriptedUpstream('up', clock, does)
    upstream.probe = probe
    return [upstream]
  })
  return Object.assign(world, { upstream, member: world.members[0]! })
}

describe('down', () => {
  it('after three failures in a row, and says so once', async () => {
    const { member, lines, ask, clock } = alone(UNREACHABLE)
    expect(member.status()).toEqual({ id: 'up', state: 'up', queries: 0, failures: 0, failuresInARow: 0 })
    await ask() // and the probe that it starts fails too
    expect(member.isDown).toBe(false)
    await ask()
    expect(member.status()).toMatchObject({ state: 'down', lastError: 'no connection to up' })
    for (let index = 0; index < 50; index++) await ask()
    await clock.advance(120_000)
    expect(lines).toMatchObject([
      { level: 'warn', upstream: 'up', code: 'UPSTREAM_UNREACHABLE', msg: 'upstream is down' },
    ])
  })

  it('not by questions alone that nobody answered: the probe is, so the names are to blame', async () => {
    const { member, asked, lines } = alone(SILENT, answers())
    for (let index = 0; index < 6; index++) expect(await asked()).toMatchObject({ rcode: RCODE.SERVFAIL })
    expect(member.isDown).toBe(false)
    expect(lines).toEqual([])
  })

  it('by silence, once a probe was not answered either', async () => {
    const { member, ask, clock } = alone(SILENT)
    void ask()
    await clock.advance(1_999)
    expect(member.status().failuresInARow).toBe(0)
    await clock.advance(1)
    expect(member.status().failuresInARow).toBe(1)
    await clock.advance(8_000)
    expect(member.isDown).toBe(true)
  })

  it('a forwarder that answers the probe with SERVFAIL has no link itself', async () => {
    const { member, clock, ask } = alone(SILENT, answers(5, RCODE.SERVFAIL))
    void ask()
    await clock.advance(10_000)
    expect(member.status()).toMatchObject({
      state: 'down',
      lastError: 'up answers, but cannot resolve (SERVFAIL)',
    })
  })

  it('REFUSED is an answer to a probe: a server for some domains knows no root', async () => {
    const { member, clock, ask } = alone(SILENT, answers(5, RCODE.REFUSED))
    void ask()
    await clock.advance(10_000)
    expect(member.status()).toMatchObject({ state: 'up', failuresInARow: 0 })
  })

  it('a question that was given too little time says nothing', async () => {
    const { member, asked } = alone(SILENT)
    for (let index = 0; index < 5; index++) await asked(1_000)
    expect(member.status()).toMatchObject({ state: 'up', failuresInARow: 0 })
  })

  it('a late answer: the upstream is there, but stays suspect', async () => {
    const { member, asked, lines } = alone(answers(3_000))
    for (let index = 0; index < 8; index++) expect(await asked()).toMatchObject({ rcode: RCODE.NOERROR, tookMs: 3_000 })
    expect(member.status().failuresInARow).toBeGreaterThan(0)
    expect(member.isDown).toBe(false)
    expect(lines).toEqual([])
  })
})

describe('probes', () => {
  it('at growing distances, at most a minute, while nobody asks', async () => {
    const { upstream, clock, ask } = alone(UNREACHABLE)
    await ask()
    await clock.advance(400_000)
    expect(upstream.probes.map((ms) => ms / 1_000)).toEqual([0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363])
  })

  it('every second while people ask in vain, and at once for the first of them', async () => {
    const { upstream, clock, ask } = alone(UNREACHABLE)
    await ask()
    await clock.advance(330_500)
    const before = upstream.probes.length
    await ask()
    await clock.advance(0)
    expect(upstream.probes.slice(before)).toEqual([330_500])
    await clock.advance(10_000)
    expect(upstream.probes.length).toBe(before + 11)
    for (let index = 0; index < 100; index++) await ask()
    expect(upstream.probes.length).toBe(before + 11)
  })

  it('those sent before the first answer and lost do not take the upstream down again', async () => {
    const { upstream, clock, ask, member, lines } = alone(SILENT)
    void ask()
    await clock.advance(30_000)
    void ask()
    await clock.advance(3_000)
    expect(member.isDown).toBe(true)
    upstream.does = answers()
    await clock.advance(20_000)
    expect(member.status()).toMatchObject({ state: 'up', failuresInARow: 0 })
    expect(lines.map(({ msg }) => msg)).toEqual(['upstream is down', 'upstream answers again'])
  })

  it('end with the first answer, which is reported once', async () => {
    const world = alone(UNREACHABLE)
    const { upstream, clock, ask, lines, member } = world
    await ask()
    await clock.advance(10_000)
    upstream.does = answers()
    await clock.advance(10_000)
    expect(member.status()).toMatchObject({ state: 'up', failuresInARow: 0, rttMs: 10 })
    expect(member.status()).not.toHaveProperty('lastError')
    const probes = upstream.probes.length
    await clock.advance(600_000)
    expect(upstream.probes.length).toBe(probes)
    expect(lines.map(({ msg }) => msg)).toEqual(['upstream is down', 'upstream answers again'])
    expect(world.recoveries).toBe(1)
  })

  it('an upstream that keeps changing is reported once for each change, and no more', async () => {
    const { upstream, clock, ask, lines } = alone(UNREACHABLE)
    for (let round = 0; round < 3; round++) {
      upstream.does = UNREACHABLE
      for (let index = 0; index < 20; index++) await ask()
      await clock.advance(5_000)
      upstream.does = answers()
      await clock.advance(60_000)
    }
    expect(lines.map(({ msg }) => msg)).toEqual([1, 2, 3].flatMap(() => ['upstream is down', 'upstream answers again']))
  })

  it('end when it is stopped', async () => {
    const { upstream, clock, ask, member } = alone(UNREACHABLE)
    await ask()
    await clock.advance(3_000)
    member.stop()
    const probes = upstream.probes.length
    await clock.advance(300_000)
    expect(upstream.probes.length).toBe(probes)
    expect(upstream.closed).toBe(true)
    expect(clock.sleeping).toBe(0)
  })
})

describe('reset', () => {
  it('closes connections, and tries at once whoever is down', async () => {
    const { upstream, clock, ask, member } = alone(UNREACHABLE)
    await ask()
    await clock.advance(350_000)
    upstream.does = answers()
    member.reset()
    await clock.advance(20)
    expect(upstream.resets).toBe(1)
    expect(member.isDown).toBe(false)
  })

  it('asks nothing of one that is in order', async () => {
    const { upstream, member, clock } = alone(answers())
    member.reset()
    await clock.advance(60_000)
    expect(upstream.probes).toEqual([])
  })
})

describe('refused', () => {
  it('is never asked, not even when there is nobody else, until the reason is gone', async () => {
    const { upstream, member, ask, asked, clock, lines } = alone(answers())
    const fault = new Fault('UPSTREAM_LOOP', 'up is this router itself')
    member.refuse(fault)
    member.refuse(fault)
    expect(await ask()).toMatchObject({ rcode: RCODE.SERVFAIL, tookMs: 0 })
    await clock.advance(60_000)
    expect([upstream.questions, upstream.probes]).toEqual([[], []])
    expect(member.status()).toMatchObject({ state: 'down', lastError: 'up is this router itself' })
    member.refuse(undefined)
    expect(await asked()).toMatchObject({ rcode: RCODE.NOERROR })
    expect(lines.map(({ code, msg }) => [code, msg])).toEqual([
      ['UPSTREAM_LOOP', 'upstream is down'],
      [undefined, 'upstream answers again'],
    ])
  })
})
