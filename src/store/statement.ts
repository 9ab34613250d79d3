/** One statement as the wire carries it. Written out as text: building one for each call costs more than running it. */
export interface Statement {
  readonly text: string
  readonly values: readonly (string | number | readonly string[])[]
  /** Given: the server keeps the plan under this name. For statements whose best plan does not hang on their values. */
  readonly name?: string
}

export type Ask = <R extends object>(
  statement: Statement,
) => Promise<{
  readonly rows: readonly R[]
  /** Rows read or written. */
  readonly count: number
}>

/** A constant of ours in the text of a statement, where the planner must see it. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
