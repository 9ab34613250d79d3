import { expect, it } from 'vitest'
import type { Reason } from '../../../src/router/resolve/resolver.ts'
import { explainQuestion } from '../../../src/router/resolve/why.ts'

const question = { name: 'a.example', type: 1, client: '192.0.2.1' }
const reason = (layer: string, decides = false): Reason => ({ layer, says: `${layer} says`, decides })

it('asks the layers in their order, waits for them, and ends with the one that decides', async () => {
  const seen: unknown[] = []
  const reasons = await explainQuestion(
    [
      ({ name, type }, client) => (seen.push(name, type, client), reason('first')),
      () => undefined,
      async () => reason('second', true),
      () => reason('third'),
    ],
    question,
  )
  expect(reasons).toEqual({ ...question, reasons: [reason('first'), reason('second', true)] })
  expect(seen).toEqual(['a.example', 1, '192.0.2.1'])
})
