import { Fault } from '../../core/fault.ts'

export function deadlineFault(upstream: string): Fault {
  return new Fault('UPSTREAM_TIMEOUT', `${upstream} did not answer in time`, { upstream })
}
