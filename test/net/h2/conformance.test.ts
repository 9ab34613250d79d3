import { describe, expect, it } from 'vitest'
import { NODE_PATIENCE_MS, nodeServer, ownServer, verdictOf } from '../../support/http2-peer.ts'
import { bytesOf, CASES } from './conformance-cases.ts'

describe('RFC 9113 and RFC 7541, section by section', () => {
  it.each(CASES)('RFC $rule: $what: $verdict', async (one) => {
    const { text, answered } = await verdictOf(await ownServer(), bytesOf(one))
    expect(text).toBe(one.verdict)
    if (one.answered) expect(answered).toEqual(one.answered)
  })
})

it('no worse than bare Node: what node:http2 refuses is refused, what it serves is served', async () => {
  const [own, node] = [await ownServer(), await nodeServer()]
  const verdicts = await Promise.all(
    CASES.map((one) => Promise.all([verdictOf(own, bytesOf(one)), verdictOf(node, bytesOf(one), NODE_PATIENCE_MS)])),
  )
  const worse = CASES.filter((one, index) => {
    const [ours, theirs] = verdicts[index]!
    if (one.verdict !== 'ok') return theirs.text !== 'ok' && ours.text === 'ok'
    return theirs.answered.some((id) => !ours.answered.includes(id))
  })
  expect(worse.map(({ rule, what }) => `RFC ${rule}: ${what}`)).toEqual([])
  const stricter = CASES.filter((one, index) => one.verdict !== 'ok' && verdicts[index]![1].text === 'ok')
  expect(stricter.length).toBeGreaterThan(0)
})
