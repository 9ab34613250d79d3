import { describe, expect, it } from 'vitest'
import { RoundTrip } from '../../../src/router/resolve/round-trip.ts'

describe('the smoothed time of an upstream', () => {
  it('starts with the first measurement and moves by an eighth of each further one (RFC 6298 §2)', () => {
    const time = new RoundTrip()
    expect(time.meanMs).toBeUndefined()
    time.add(100, 0)
    expect(time.meanMs).toBe(100)
    time.add(180, 0)
    expect(time.meanMs).toBe(110)
  })

  it('what to expect includes the deviation: of two with one mean the steadier one is better', () => {
    const [steady, restless] = [new RoundTrip(), new RoundTrip()]
    for (let index = 0; index < 50; index++) {
      steady.add(50, 0)
      restless.add(index % 2 === 0 ? 10 : 90, 0)
    }
    expect(steady.expectedMs(0)).toBeLessThan(restless.expectedMs(0))
  })

  it('is worth nothing until measured, and half as much after five minutes', () => {
    const time = new RoundTrip()
    expect(time.expectedMs(1_000)).toBe(0)
    time.add(100, 0)
    expect(time.expectedMs(0)).toBe(150)
    expect(time.expectedMs(300_000)).toBe(75)
  })
})
