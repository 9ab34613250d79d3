import { Fault } from '../../core/fault.ts'
import type { Ended } from '../admin/device-operations.ts'

/** After everything was printed: what could not be done makes the command fail. */
export function checkFinished({ unfinished }: Ended): void {
  if (unfinished === undefined) return
  throw new Fault('REVOCATION_UNFINISHED', `a certificate is not revoked at its CA yet: ${unfinished}`)
}
