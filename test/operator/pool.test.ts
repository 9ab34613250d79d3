import { expect, it, vi } from 'vitest'
import { createLog } from '../../src/core/log.ts'
import { type Attempt, type Authority, ISSUE_MS_MAX } from '../../src/operator/authority/authority.ts'
import { firstThatIssues } from '../../src/operator/authority/pool.ts'

const wish = { names: ['a.example'], csr: new Uint8Array(), notBeforeMs: 0, notAfterMs: 1 }
const attempt = (signal: AbortSignal): Attempt => ({ signal, placed: async () => {} })
const log = createLog('silent')
const issues = (id: string): Authority => ({ id, issue: async () => [Uint8Array.of(1)] })
const fails = (id: string): Authority => ({ id, issue: () => Promise.reject(new Error(`${id} is down`)) })

it('asks the backup when the primary fails', async () => {
  expect(
    await firstThatIssues([fails('primary'), issues('backup')], log).issue(wish, attempt(AbortSignal.timeout(1_000))),
  ).toEqual([Uint8Array.of(1)])
})

it('names every reason when nobody issues', async () => {
  const all = firstThatIssues([fails('primary'), fails('backup')], log).issue(wish, attempt(AbortSignal.timeout(1_000)))
  await expect(all).rejects.toMatchObject({
    code: 'AUTHORITY_UNAVAILABLE',
    message: expect.stringMatching(/primary: primary is down; backup: backup is down/),
  })
})

it('leaves the backup its whole time when the primary hangs', async () => {
  const timeouts: number[] = []
  const real = AbortSignal.timeout
  // The real ones would take minutes; the first is over at once.
  const spy = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    timeouts.push(ms)
    return timeouts.length === 1 ? AbortSignal.abort(new Error('too slow')) : real.call(AbortSignal, ms)
  })
  const hangs: Authority = { id: 'primary', issue: (_wish, { signal }) => Promise.reject(signal.reason) }
  const backup: Authority = {
    id: 'backup',
    issue: async (_wish, { signal }) => (signal.aborted ? [] : [Uint8Array.of(2)]),
  }
  const chain = await firstThatIssues([hangs, backup], log).issue(wish, attempt(new AbortController().signal))
  spy.mockRestore()
  expect(chain).toEqual([Uint8Array.of(2)])
  expect(timeouts).toEqual([ISSUE_MS_MAX, ISSUE_MS_MAX])
})
