import { describe, expect, it } from 'vitest'
import { memoryNonces } from '../../../src/acme/server/nonces.ts'
import { ManualClock } from '../../support/manual-clock.ts'

describe('memoryNonces', () => {
  it('lets each nonce work once', async () => {
    const nonces = memoryNonces({ clock: new ManualClock(), capacity: 10, lifetimeMs: 1000 })
    const nonce = await nonces.issue()
    expect(await nonces.consume(nonce)).toBe(true)
    expect(await nonces.consume(nonce)).toBe(false)
    expect(await nonces.consume('made-up')).toBe(false)
  })

  it('forgets the oldest when it is full', async () => {
    const nonces = memoryNonces({ clock: new ManualClock(), capacity: 2, lifetimeMs: 1000 })
    const [first, second, third] = [await nonces.issue(), await nonces.issue(), await nonces.issue()]
    expect(await nonces.consume(first)).toBe(false)
    expect(await nonces.consume(second)).toBe(true)
    expect(await nonces.consume(third)).toBe(true)
  })

  it('forgets by age', async () => {
    const clock = new ManualClock()
    const nonces = memoryNonces({ clock, capacity: 10, lifetimeMs: 1000 })
    const nonce = await nonces.issue()
    await clock.advance(1000)
    expect(await nonces.consume(nonce)).toBe(false)
  })

  it('refuses the given share of good nonces, and has used them up', async () => {
    const draws = [0.1, 0.9]
    const rejection = { share: 0.15, random: () => draws.shift() ?? 1 }
    const nonces = memoryNonces({ clock: new ManualClock(), capacity: 10, lifetimeMs: 1000, rejection })
    const [unlucky, lucky] = [await nonces.issue(), await nonces.issue()]
    expect(await nonces.consume(unlucky)).toBe(false)
    expect(await nonces.consume(lucky)).toBe(true)
    expect(await nonces.consume(unlucky)).toBe(false)
  })
})
