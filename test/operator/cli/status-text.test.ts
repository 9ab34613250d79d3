import { expect, it } from 'vitest'
import { statusText } from '../../../src/operator/cli/status-text.ts'

const textOf = (valid: number, expiring: number): string =>
  statusText({
    directory: 'https://acme.example/directory',
    authorities: ['primary'],
    fleet: { counts: { waiting: 0, enrolled: 0, valid, expiring, failed: 0, revoked: 0 }, ends: [] },
    health: [],
  })

it('speaks of late renewals only where there are some', () => {
  expect(textOf(3, 0)).toContain('3 valid, ')
  expect(textOf(3, 1)).toContain('3 valid (1 of them late), ')
})
