import { expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import { createLog, explain, type LogLevel } from '../../src/core/log.ts'

function logged(level: LogLevel, write: (log: ReturnType<typeof createLog>) => void): Record<string, unknown>[] {
  const lines: string[] = []
  write(createLog(level, { write: (line) => void lines.push(line) }))
  return lines.map((line): Record<string, unknown> => JSON.parse(line))
}

it('writes one JSON line per event with level, time and message', () => {
  const [line] = logged('info', (log) => log.warn({ upstream: 'a' }, 'slow'))
  expect(line).toMatchObject({ level: 'warn', upstream: 'a', msg: 'slow' })
  expect(new Date(String(line?.['time'])).toISOString()).toBe(line?.['time'])
  expect(line).not.toHaveProperty('pid')
})

it('leaves out what is below its level', () => {
  const write = (log: ReturnType<typeof createLog>): void => {
    log.debug('a')
    log.error('b')
  }
  expect(logged('info', write)).toHaveLength(1)
  expect(logged('silent', write)).toHaveLength(0)
})

it('explains a fault by its code, hint and facts, anything else by its stack', () => {
  expect(explain(new Fault('STATE_LOCKED', 'in use', { pid: 7 }))).toMatchObject({
    code: 'STATE_LOCKED',
    reason: 'in use',
    pid: 7,
    hint: expect.any(String),
  })
  expect(explain(new Error('bug'))).toMatchObject({ reason: 'bug', stack: expect.stringContaining('bug') })
  expect(explain('text')).toEqual({ reason: "'text'" })
})
