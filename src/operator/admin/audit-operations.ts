import { parseDateMs } from '../../acme/resource.ts'
import { Fault } from '../../core/fault.ts'
import type { Audit } from '../audit/audit.ts'
import type { AuditEntry } from '../audit/entry.ts'
import { type OperationTable, operation } from './operation.ts'
import { AFTER, LIMIT, nextAfter, PAGE_MAX } from './properties.ts'

export interface AuditPage {
  readonly entries: readonly { readonly id: string; readonly row: AuditEntry }[]
  readonly next?: string
}

export function auditOperations(audit: Audit) {
  return {
    'audit-list': operation({
      summary: 'the log of every decision, in order of time',
      role: 'read',
      input: {
        since: { type: 'string', description: 'entries from this time on (RFC 3339)', maxLength: 40 },
        after: AFTER,
        limit: LIMIT,
      },
      async run({ since, after, limit = PAGE_MAX }): Promise<AuditPage> {
        const sinceMs = since === undefined ? undefined : parseDateMs(since)
        if (since !== undefined && sinceMs === undefined)
          throw new Fault('USAGE', `since: expected a time such as 2027-01-10T00:00:00Z, got ${since}`)
        const page = await audit.list({
          limit,
          ...(sinceMs === undefined ? {} : { sinceMs }),
          ...(after === undefined ? {} : { after }),
        })
        return {
          entries: page.map(({ id, row }) => ({ id, row })),
          ...nextAfter(page, limit),
        }
      },
    }),
  } satisfies OperationTable
}
