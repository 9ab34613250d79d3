import { Fault } from '../../core/fault.ts'
import { AcmeProblem, type ProblemDocument } from '../problem.ts'
import type { Order } from '../resource.ts'

/** RFC 6585 §4: whatever the reason, the server wants to be left alone for a while. */
export const TOO_MANY_REQUESTS = 429

/** What goes wrong with an order comes out as a Fault; a refusal keeps its AcmeProblem as the cause. */

export function protocol(detail: string): Fault {
  return new Fault('ACME_PROTOCOL', `the ACME server answered outside the protocol: ${detail}`)
}

export function refusedOrder(order: Order): Fault {
  return refused(order.error, `the order is ${order.status}`)
}

export function refused(error: ProblemDocument | undefined, otherwise: string): Fault {
  const problem = AcmeProblem.fromDocument(error)
  return problem ? faultOf(problem) : new Fault('ACME_REFUSED', otherwise)
}

export async function refusalsAsFaults<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw error instanceof AcmeProblem ? faultOf(error) : error
  }
}

function faultOf(problem: AcmeProblem): Fault {
  const { type, status, detail, subproblems, retryAfterMs } = problem
  const names = subproblems.map((sub) => `${sub.identifier?.value ?? sub.type}: ${sub.detail}`)
  const facts = { type, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) }
  return new Fault('ACME_REFUSED', [`${type}: ${detail}`, ...names].join('; '), facts, problem)
}
