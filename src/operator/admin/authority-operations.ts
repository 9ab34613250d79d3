import type { AuthorityDesk } from './authority-desk.ts'
import { type OperationTable, operation } from './operation.ts'

export function authorityOperations(desk: AuthorityDesk) {
  return {
    'authority-list': operation({
      summary: 'the CAs behind this service, in order of preference',
      role: 'read',
      input: {},
      run: () => desk.list(),
    }),
    'authority-caa': operation({
      summary: 'CAA records that keep everybody else from getting certificates (RFC 8657)',
      role: 'read',
      input: {},
      run: () => desk.caa(),
    }),
    'authority-test': operation({
      summary: 'ask the CAs whether they answer; nothing is ordered',
      role: 'operate',
      input: { name: { type: 'string', description: 'this one only', maxLength: 32 } },
      run: ({ name }) => desk.test(name),
    }),
  } satisfies OperationTable
}
