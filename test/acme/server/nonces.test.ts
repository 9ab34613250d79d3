import { describe, expect, it } from 'vitest'
import { memoryNonces, signedNonces } from '../../../src/acme/server/nonces.ts'
import { usedNoncesIn } from '../../../src/operator/nonce-store.ts'
import { memoryTable } from '../../../src/store/memory.ts'
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

describe('signedNonces', () => {
  const LIFETIME_MS = 3_600_000
  const table = () => memoryTable<object>()

  function instance(used: ReturnType<typeof table>, clock = new ManualClock(), secret = Buffer.alloc(32, 7)) {
    return signedNonces({ clock, secret, used: usedNoncesIn(used), lifetimeMs: LIFETIME_MS })
  }

  it('lets each nonce work once, at whatever instance, after a restart too', async () => {
    const used = table()
    const [one, other] = [instance(used), instance(used)]
    const [first, second] = [await one.issue(), await one.issue()]
    expect(await other.consume(first)).toBe(true)
    expect(await one.consume(first)).toBe(false)
    expect(await instance(used).consume(first)).toBe(false)
    expect(await instance(used).consume(second)).toBe(true)
  })

  it('lets one of many requests at the same time have it', async () => {
    const used = table()
    const nonce = await instance(used).issue()
    const taken = await Promise.all(Array.from({ length: 10 }, () => instance(used).consume(nonce)))
    expect(taken.filter(Boolean)).toHaveLength(1)
  })

  it('takes none that was changed, cut, or made with another secret', async () => {
    const used = table()
    const nonces = instance(used)
    const nonce = await nonces.issue()
    const foreign = await instance(used, new ManualClock(), Buffer.alloc(32, 8)).issue()
    const changed = Array.from(
      nonce,
      (letter, at) => nonce.slice(0, at) + (letter === 'A' ? 'B' : 'A') + nonce.slice(at + 1),
    )
    // The last letter of base64url may have bits that mean nothing; what it says is what counts.
    const meaningful = changed.filter((text) => !Buffer.from(text, 'base64url').equals(Buffer.from(nonce, 'base64url')))
    for (const bad of [...meaningful, nonce.slice(1), `${nonce}AAAA`, '', 'made-up', '!', foreign])
      expect(await nonces.consume(bad)).toBe(false)
    expect(meaningful.length).toBeGreaterThan(40)
    expect(await nonces.consume(nonce)).toBe(true)
    expect(nonce).toMatch(/^[\w-]+$/)
  })

  it('forgets by age, and bears clocks that differ a little', async () => {
    const used = table()
    const [early, late] = [new ManualClock(), new ManualClock()]
    late.step(LIFETIME_MS - 1)
    const nonce = await instance(used, early).issue()
    expect(await instance(used, late).consume(nonce)).toBe(true)
    const old = await instance(used, early).issue()
    late.step(1)
    expect(await instance(used, late).consume(old)).toBe(false)
    const fromAhead = await instance(used, late).issue()
    expect(await instance(used, early).consume(fromAhead)).toBe(false)
    early.step(LIFETIME_MS - 60_000)
    expect(await instance(used, early).consume(fromAhead)).toBe(true)
  })

  it('keeps what is used only as long as it could be tried again', async () => {
    const used = table()
    const clock = new ManualClock()
    const nonces = instance(used, clock)
    for (let count = 0; count < 100; count++) await nonces.consume(await nonces.issue())
    clock.step(2 * LIFETIME_MS)
    for (let count = 0; count < 100; count++) await nonces.consume(await nonces.issue())
    expect(await used.list({ limit: 1000 })).toHaveLength(100)
  })

  it('refuses the given share of good nonces, and has used them up', async () => {
    const draws = [0.01, 0.9]
    const rejection = { share: 0.05, random: () => draws.shift() ?? 1 }
    const used = usedNoncesIn(table())
    const secret = Buffer.alloc(32, 7)
    const nonces = signedNonces({ clock: new ManualClock(), secret, used, lifetimeMs: LIFETIME_MS, rejection })
    const [unlucky, lucky] = [await nonces.issue(), await nonces.issue()]
    expect(await nonces.consume(unlucky)).toBe(false)
    expect(await nonces.consume(lucky)).toBe(true)
    expect(await nonces.consume(unlucky)).toBe(false)
  })
})
