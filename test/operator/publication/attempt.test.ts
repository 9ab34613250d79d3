import { beforeEach, describe, expect, it } from 'vitest'
import { type Attempt, ISSUE_MS_MAX } from '../../../src/operator/authority/authority.ts'
import { attemptOver, Overtaken } from '../../../src/operator/publication/attempt.ts'
import { type IssuanceAttempt, type IssuanceRow, namesOfRow } from '../../../src/operator/publication/rows.ts'
import { memoryTable } from '../../../src/store/memory.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const NAMES = ['b.cpe.example', 'a.cpe.example']
const ORDER = 'https://ca.example/order/1'

describe('an order that the authority lists (RFC 8555 §7.1.2.1)', () => {
  let clock: ManualClock
  let table: ReturnType<typeof memoryTable<IssuanceRow>>
  let ours: Attempt
  beforeEach(async () => {
    clock = new ManualClock()
    table = memoryTable()
    ours = attemptOver(table, await tryOf('ours', { placingSinceMs: clock.nowMs() }), clock, signal).attempt
  })
  const { signal } = new AbortController()

  const tryOf = async (id: string, attempt: Partial<IssuanceAttempt>, names: readonly string[] = NAMES) => {
    const row = { edition: 1, failures: 0, passedOver: [], names: namesOfRow(names) }
    return (await table.insert(id, { ...row, attempt: { authority: 'ca', taken: 1, ...attempt } }))!
  }

  it('is free when no other try has it, however many there are', async () => {
    await ours.placed(ORDER)
    await tryOf('other order', { order: 'https://ca.example/order/2' })
    await tryOf('another CA', { order: ORDER, authority: 'backup' })
    await tryOf('not begun', {})
    await tryOf('other names', { placingSinceMs: clock.nowMs() }, ['c.cpe.example'])
    expect(await ours.isFree!(ORDER)).toBe(true)
  })

  it('is not while another try for the same names, in whatever sequence, has written it down', async () => {
    await tryOf('other', { order: ORDER }, NAMES.toReversed())
    expect(await ours.isFree!(ORDER)).toBe(false)
    expect(await ours.isFree!('https://ca.example/order/2')).toBe(true)
  })

  it('may be that of one which is placing its own just now: it is left alone until that one has written it down, or is dead', async () => {
    await tryOf('other', { placingSinceMs: clock.nowMs() })
    await expect(ours.isFree!(ORDER)).rejects.toThrow(Overtaken)
    clock.step(ISSUE_MS_MAX)
    expect(await ours.isFree!(ORDER)).toBe(true)
  })
})
