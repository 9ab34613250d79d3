import { Fault } from '../../core/fault.ts'
import { closest, didYouMean, shown } from '../../core/units.ts'
import { type InputOf, type InputSchema, problemsOf } from './input.ts'

/** `read` sees everything but secrets and changes nothing; `operate` may do all. */
export type Role = 'read' | 'operate'

/** Whoever asks, as the audit log names them: `cli root (uid 0)`, `token provisioning`. */
export interface Caller {
  readonly by: string
  readonly role: Role
}

/** One thing that people and programs may ask of the service: a plain function from a JSON object to a JSON value. */
export interface Operation {
  /** One line, for help texts and the API document. */
  readonly summary: string
  readonly role: Role
  readonly input: InputSchema
  /** The input has passed its schema. Throws a Fault when it cannot be done. */
  run(input: never, caller: Caller): Promise<unknown>
}

/** An operation whose `run` gets the type that its schema describes. */
export function operation<const S extends InputSchema, O>(of: {
  readonly summary: string
  readonly role: Role
  readonly input: S
  readonly run: (input: InputOf<S>, caller: Caller) => Promise<O>
}): typeof of {
  return of
}

export type OperationTable = Readonly<Record<string, Operation>>

/** The one way in for every face. Throws Fault USAGE (wrong input, unknown name), NOT_ALLOWED (role), or the operation's. */
export async function perform(table: OperationTable, name: string, input: unknown, caller: Caller): Promise<unknown> {
  if (!Object.hasOwn(table, name)) {
    const near = didYouMean(closest(name, Object.keys(table)))
    throw new Fault('USAGE', `there is no operation ${shown(name)}${near === undefined ? '' : `; ${near}`}`)
  }
  const wanted = table[name]!
  if (wanted.role === 'operate' && caller.role !== 'operate')
    throw new Fault('NOT_ALLOWED', `${name} needs the role operate; ${caller.by} has the role ${caller.role}`)
  const problems = problemsOf(input, wanted.input)
  if (problems.length > 0) throw new Fault('USAGE', `${name}: ${problems.join('; ')}`)
  return wanted.run(input as never, caller)
}
