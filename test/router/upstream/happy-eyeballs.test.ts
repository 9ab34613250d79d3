import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import type { Endpoint } from '../../../src/net/bind.ts'
import { type Attempt, connectionOrder, firstToConnect } from '../../../src/router/upstream/happy-eyeballs.ts'

const at = (host: string): Endpoint => ({ host, port: 853 })
const [A, B, C] = [at('2001:db8::1'), at('192.0.2.1'), at('192.0.2.2')] as const

describe('connectionOrder (RFC 8305 section 4)', () => {
  it('takes the families in turns, IPv6 first', () => {
    const v4 = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map(at)
    const v6 = ['2001:db8::1', '2001:db8::2'].map(at)
    expect(connectionOrder([...v4, ...v6], undefined)).toEqual([v6[0], v4[0], v6[1], v4[1], v4[2]])
  })

  it('takes the last winner before all others, as long as it is one of the addresses', () => {
    expect(connectionOrder([A, B, C], C)).toEqual([C, A, B])
    expect(connectionOrder([A, B], C)).toEqual([A, B])
  })
})

describe('firstToConnect', () => {
  beforeEach(() => void vi.useFakeTimers())
  afterEach(() => void vi.useRealTimers())

  class Race {
    readonly started: string[] = []
    readonly cancelled: string[] = []
    readonly #ends = new Map<string, { resolve: (value: string) => void; reject: (error: unknown) => void }>()
    readonly attempt = ({ host }: Endpoint): Attempt<string> => {
      this.started.push(host)
      const done = new Promise<string>((resolve, reject) => this.#ends.set(host, { resolve, reject }))
      return {
        done,
        cancel: () => {
          this.cancelled.push(host)
          this.#ends.get(host)!.reject(new Error('given up'))
        },
      }
    }
    connects({ host }: Endpoint): void {
      this.#ends.get(host)!.resolve(host)
    }
    fails({ host }: Endpoint, error: Error = new Error('no route')): void {
      this.#ends.get(host)!.reject(error)
    }
  }

  it('starts the next address after 250 ms, and the first complete connection wins', async () => {
    const race = new Race()
    const { done } = firstToConnect([A, B, C], race.attempt)
    await vi.advanceTimersByTimeAsync(249)
    expect(race.started).toEqual([A.host])
    await vi.advanceTimersByTimeAsync(1)
    expect(race.started).toEqual([A.host, B.host])
    race.connects(B)
    expect(await done).toEqual({ endpoint: B, connection: B.host })
    expect(race.cancelled).toEqual([A.host])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(race.started).toEqual([A.host, B.host])
  })

  it('starts the next address at once when one has failed', async () => {
    const race = new Race()
    const { done } = firstToConnect([A, B], race.attempt)
    race.fails(A)
    await vi.advanceTimersByTimeAsync(0)
    race.connects(B)
    expect(await done).toMatchObject({ endpoint: B })
  })

  it('waits for a slow one as long as it may still win', async () => {
    const race = new Race()
    const { done } = firstToConnect([A, B], race.attempt)
    await vi.advanceTimersByTimeAsync(250)
    race.fails(B)
    await vi.advanceTimersByTimeAsync(1_000)
    race.connects(A)
    expect(await done).toMatchObject({ endpoint: A })
  })

  it('fails when all have, with the gravest reason', async () => {
    const race = new Race()
    const { done } = firstToConnect([A, B], race.attempt)
    const failed = expect(done).rejects.toMatchObject({ code: 'UPSTREAM_UNTRUSTED' })
    race.fails(A, new Fault('UPSTREAM_UNTRUSTED', 'another name'))
    await vi.advanceTimersByTimeAsync(0)
    race.fails(B)
    await failed
  })

  it('given up, gives up what runs and starts nothing more', async () => {
    const race = new Race()
    const { done, cancel } = firstToConnect([A, B, C], race.attempt)
    const failed = expect(done).rejects.toThrow('given up')
    await vi.advanceTimersByTimeAsync(250)
    cancel()
    await failed
    expect(race.cancelled).toEqual([A.host, B.host])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(race.started.length).toBe(2)
  })
})
