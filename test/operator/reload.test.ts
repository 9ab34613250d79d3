import { beforeEach, expect, it } from 'vitest'
import { Fault } from '../../src/core/fault.ts'
import type { AuditEvent } from '../../src/operator/audit/entry.ts'
import type { OperatorConfig } from '../../src/operator/config.ts'
import { reload } from '../../src/operator/reload.ts'
import { recordingLog } from '../support/log.ts'

const TLS = { key: 'new key', cert: 'new chain' }
const configOf = (tls?: typeof TLS): OperatorConfig =>
  ({ log: 'debug', listen: { api: { host: '127.0.0.1', port: 1 }, ...(tls ? { tls } : {}) } }) as OperatorConfig

let events: AuditEvent[]
const audit = { record: async (event: AuditEvent) => void events.push(event) }
beforeEach(() => {
  events = []
})

it('takes over the certificate and the log level', async () => {
  const { log, lines } = recordingLog()
  const given: unknown[] = []
  await reload(async () => configOf(TLS), { servers: [{ setCertificate: (one) => given.push(one) }], audit, log })
  expect(given).toEqual([TLS])
  expect(log.level).toBe('debug')
  const reason = 'certificate and log level, debug'
  expect(events).toEqual([{ event: 'settings-reloaded', by: 'signal SIGHUP', reason }])
  expect(lines.at(-1)).toMatchObject({ msg: expect.stringContaining('from the next start on') })
})

it('leaves all as it is when the file has problems, or the key does not fit', async () => {
  const { log, lines } = recordingLog()
  const before = log.level
  await reload(() => Promise.reject(new Fault('CONFIG_INVALID', 'zone: missing')), { servers: [], audit, log })
  const refuse = (): never => {
    throw new Error('key values mismatch')
  }
  await reload(async () => configOf(TLS), { servers: [{ setCertificate: refuse }], audit, log })
  expect(log.level).toBe(before)
  expect(lines).toHaveLength(2)
  expect(events).toEqual([])
})
