import { describe, expect, it } from 'vitest'
import { BASE, createWorld, enrol, NAME, problemOf, templateFor } from '../../world.ts'

describe('RFC 9115 §2.3.1 delegations', () => {
  it('are listed in pages, followed by rel="next"', async () => {
    const world = createWorld({ pageSize: 2 })
    const { peer, account } = await enrol(world, 'd1')
    for (const id of ['d2', 'd3', 'd4', 'd5']) world.delegated.set(id, { account, names: [NAME] })
    world.delegated.set('d6', { account: 'someone-else', names: [NAME] })

    const first = await peer.post(`${peer.kid}/delegations`, null)
    expect(first.headers['Content-Type']).toBe('application/json')
    expect(first.json).toEqual({ delegations: [`${BASE}/delegation/d1`, `${BASE}/delegation/d2`] })
    expect(first.headers['Link']).toEqual([
      `<${peer.kid}/delegations?cursor=d2>;rel="next"`,
      `<${BASE}/directory>;rel="index"`,
    ])
    const second = await peer.post(`${peer.kid}/delegations?cursor=d2`, null)
    expect(second.json.delegations).toEqual([`${BASE}/delegation/d3`, `${BASE}/delegation/d4`])
    const third = await peer.post(`${peer.kid}/delegations?cursor=d4`, null)
    expect(third.json.delegations).toEqual([`${BASE}/delegation/d5`])
    expect(third.headers['Link']).toEqual([`<${BASE}/directory>;rel="index"`])
  })

  it('are signed for the URL with its query', async () => {
    const { peer } = await enrol(createWorld())
    const header = { url: `${peer.kid}/delegations` }
    expect(problemOf(await peer.post(`${peer.kid}/delegations?cursor=d1`, null, { header }))).toBe('403 unauthorized')
  })

  it('show their template to their account only', async () => {
    const world = createWorld()
    const { peer, delegation } = await enrol(world)
    const other = (await enrol(world, 'd2')).peer
    expect((await peer.post(delegation, null)).json).toEqual({ 'csr-template': templateFor([NAME]) })
    expect(problemOf(await other.post(delegation, null))).toBe('404 malformed')
    expect(problemOf(await peer.post(`${BASE}/delegation/none`, null))).toBe('404 malformed')
  })
})
