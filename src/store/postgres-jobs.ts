import { BACKLOG_MAX, type Jobs } from '../core/table.ts'
import { type Ask, literal, type Statement } from './statement.ts'

/**
 * One queue. `clock`: what leases are measured by. `server`, where instances share the jobs: two whose own clocks differ
 * cannot both hold one. `given`: the times of the caller, where he is alone.
 */
export function jobsIn(ask: Ask, queue: string, clock: 'server' | 'given'): Jobs {
  const jobs = `hearth_job where queue = ${literal(queue)}`
  const prepared = (verb: string, text: string): ((...values: Statement['values']) => Statement) => {
    const name = `${verb} ${queue}`
    return (...values) => ({ name, text, values })
  }
  const nowOr = (given: string): string => (clock === 'server' ? SERVER_NOW : given)
  const put = prepared(
    'put job',
    // Put again after it was taken: the worker's `finish` must not end it.
    `insert into hearth_job (queue, id, due_ms) values (${literal(queue)}, $1, $2)
     on conflict (queue, id) do update set due_ms = excluded.due_ms, again = hearth_job.lease_until_ms > 0`,
  )
  const now = nowOr('$1::bigint')
  // Not prepared: the plan hangs on the limit, and on how many are due.
  const take = `
    with due as (
      select id from ${jobs} and due_ms <= $1::bigint and lease_until_ms <= ${now}
      order by due_ms limit $3 for update skip locked
    )
    update hearth_job set lease_until_ms = ${now} + $2::bigint, again = false from due
    where hearth_job.queue = ${literal(queue)} and hearth_job.id = due.id returning hearth_job.id, due_ms`
  const backlog = `
    select count(*) as due, min(due_ms) as oldest from (
      select due_ms from ${jobs} and due_ms <= $1::bigint and lease_until_ms <= ${now} order by due_ms limit ${BACKLOG_MAX}
    ) as waiting`
  const extend = prepared(
    'extend job',
    `update hearth_job set lease_until_ms = ${nowOr('$2::bigint')} + $3::bigint
     where queue = ${literal(queue)} and id = $1 and lease_until_ms > 0 and $2::bigint is not null`,
  )
  const end = prepared('end job', `delete from ${jobs} and id = $1 and not again`)
  const release = prepared(
    'release job',
    `update hearth_job set lease_until_ms = 0, again = false
     where queue = ${literal(queue)} and id = $1 and again`,
  )
  const postpone = prepared(
    'postpone job',
    `insert into hearth_job (queue, id, due_ms) values (${literal(queue)}, $1, $2)
     on conflict (queue, id) do update set
       due_ms = case when hearth_job.again then least(hearth_job.due_ms, excluded.due_ms) else excluded.due_ms end,
       lease_until_ms = 0, again = false`,
  )
  return {
    async put(job, dueMs) {
      await ask(put(job, Math.trunc(dueMs)))
    },
    async take(nowMs, leaseMs, limit) {
      const values = [Math.trunc(nowMs), Math.trunc(leaseMs), limit]
      const taken = [...(await ask<{ id: string; due_ms: string }>({ text: take, values })).rows]
      return taken.sort((a, b) => Number(a.due_ms) - Number(b.due_ms)).map(({ id }) => id)
    },
    async extend(job, nowMs, leaseMs) {
      await ask(extend(job, Math.trunc(nowMs), Math.trunc(leaseMs)))
    },
    async finish(job, nextDueMs) {
      if (nextDueMs !== undefined) await ask(postpone(job, Math.trunc(nextDueMs)))
      else if ((await ask(end(job))).count === 0) await ask(release(job))
    },
    async backlog(nowMs) {
      const [found] = (
        await ask<{ due: string; oldest: string | null }>({ text: backlog, values: [Math.trunc(nowMs)] })
      ).rows
      const oldest = found?.oldest ?? undefined
      return { due: Number(found?.due ?? 0), ...(oldest === undefined ? {} : { oldestMs: Number(oldest) }) }
    },
  }
}

const SERVER_NOW = '(extract(epoch from now()) * 1000)::bigint'
