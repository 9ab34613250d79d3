import type { Explain, Reason } from './resolver.ts'

/** What the operation `why` is asked. */
export interface WhyQuestion {
  readonly name: string
  readonly type: number
  readonly client: string
}

export interface Why extends WhyQuestion {
  readonly reasons: readonly Reason[]
}

/** As Explain; may have to read a file first. */
export type ExplainLater = (...of: Parameters<Explain>) => ReturnType<Explain> | Promise<ReturnType<Explain>>

/** What happens to a question, layer by layer, as far as the first that decides. Nothing is asked and nothing changes. */
export async function explainQuestion(layers: readonly ExplainLater[], question: WhyQuestion): Promise<Why> {
  const reasons: Reason[] = []
  for (const explain of layers) {
    const reason = await explain(question, question.client)
    if (reason) reasons.push(reason)
    if (reason?.decides) break
  }
  return { ...question, reasons }
}
