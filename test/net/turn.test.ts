import { expect, it } from 'vitest'
import { afterReading, allSent } from '../../src/net/turn.ts'

it('sends in order, and nothing before the turn has been read', async () => {
  const sent: string[] = []
  afterReading(() => sent.push('first'))
  await Promise.resolve()
  afterReading(() => sent.push('second'))
  expect(sent).toEqual([])
  await allSent()
  expect(sent).toEqual(['first', 'second'])
})

it('what a send adds leaves with the next turn', async () => {
  const sent: string[] = []
  afterReading(() => {
    sent.push('first')
    afterReading(() => sent.push('second'))
  })
  await allSent()
  expect(sent).toEqual(['first'])
  await allSent()
  expect(sent).toEqual(['first', 'second'])
})
