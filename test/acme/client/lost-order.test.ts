import { beforeEach, describe, expect, it } from 'vitest'
import type { AcmeReply } from '../../../src/acme/client/exchange.ts'
import { findLostOrder, type LostOrder } from '../../../src/acme/client/lost-order.ts'
import type { PlacedOrder } from '../../../src/acme/client/plumbing.ts'
import { AcmeProblem } from '../../../src/acme/problem.ts'
import { buildDate, type Order } from '../../../src/acme/resource.ts'
import { Fault } from '../../../src/core/fault.ts'
import { recordingLog } from '../../support/log.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const CA = 'https://ca.example'
const NAME = 'cpe7.isp.example'
const HOUR_MS = 3_600_000
const { signal } = new AbortController()
const gone = new AcmeProblem('malformed', 'no such order', { status: 404 })
const down = new AcmeProblem('serverInternal', 'the database is busy')

let clock: ManualClock
/** What the authority has, in the order it lists them: an order, or what it answers instead. */
let orders: Map<string, Order | Error>
let pageSize: number
let pagesRead: number
let lookedAt: string[]
let written: (string | undefined)[]
let logged: ReturnType<typeof recordingLog>
beforeEach(() => {
  clock = new ManualClock()
  orders = new Map()
  pageSize = 3
  pagesRead = 0
  lookedAt = []
  written = []
  logged = recordingLog()
})

const orderFor = (name: string, more: Partial<Order> = {}): Order => ({
  status: 'pending',
  identifiers: [{ type: 'dns', value: name }],
  authorizations: [],
  finalize: `${CA}/finalize`,
  ...more,
})
function place(content: Order | Error): string {
  const url = `${CA}/order/${orders.size + 1}`
  orders.set(url, content)
  return url
}
const placeMany = (count: number): void => {
  for (let n = 0; n < count; n++) place(orderFor(`cpe-${n}.isp.example`))
}

async function postAsGet(url: string): Promise<AcmeReply> {
  pagesRead++
  const from = Number(new URL(url).searchParams.get('from'))
  const urls = [...orders.keys()].slice(from, from + pageSize)
  const next = from + pageSize < orders.size ? [`${CA}/orders?from=${from + pageSize}`] : []
  const links = (relation: string): readonly string[] => (relation === 'next' ? next : [])
  return { status: 200, content: { orders: urls }, header: () => undefined, links }
}
async function order(url: string): Promise<PlacedOrder> {
  lookedAt.push(url)
  const content = orders.get(url) ?? gone
  if (content instanceof Error) throw content
  return { url, order: content }
}
const find = (more: Partial<LostOrder> = {}): Promise<PlacedOrder | undefined> =>
  findLostOrder({
    client: { postAsGet, order },
    list: `${CA}/orders?from=0`,
    asked: { identifiers: [{ type: 'dns', value: NAME }] },
    placingSinceMs: clock.nowMs() - 60_000,
    placed: async (url) => void written.push(url),
    clock,
    log: logged.log,
    signal,
    ...more,
  })

describe('an order that was placed is found', () => {
  it('at the end of hundreds, and looked at first, because authorities append', async () => {
    placeMany(301)
    const url = place(orderFor(NAME))
    expect((await find())?.url).toBe(url)
    expect(lookedAt).toEqual([url])
    expect(written).toEqual([url])
    expect(pagesRead).toBe(101)
  })

  it.each(['first', 'middle'])('in the %s place as well, because nothing says that they must', async (where) => {
    placeMany(where === 'first' ? 0 : 150)
    const url = place(orderFor(NAME))
    placeMany(150)
    expect((await find())?.url).toBe(url)
  })

  it('on a page of more than a thousand', async () => {
    pageSize = 5000
    placeMany(1200)
    const url = place(orderFor(NAME))
    expect((await find())?.url).toBe(url)
  })

  it.each([
    ['gone', gone],
    ['gone, which a proxy says in HTML', new Fault('ACME_PROTOCOL', 'answered 404', { status: 404 })],
    ['not ours to read', new AcmeProblem('unauthorized', 'not yours')],
    ['not an order', new Fault('ACME_PROTOCOL', 'the order is not a JSON object')],
  ])('beside one that is %s', async (_what, answer) => {
    place(answer)
    const url = place(orderFor(NAME))
    place(orderFor('other.isp.example'))
    place(answer)
    expect((await find())?.url).toBe(url)
  })

  it('whatever the letter case and the sequence of its names', async () => {
    const names = ['B.isp.example', 'a.isp.example'].map((value) => ({ type: 'dns', value }))
    const url = place(orderFor('a.isp.example', { identifiers: names }))
    const asked = { identifiers: names.toReversed().map(({ type, value }) => ({ type, value: value.toLowerCase() })) }
    expect((await find({ asked }))?.url).toBe(url)
  })

  it('when the authority shows more of it than was asked, or less', async () => {
    const asked = { identifiers: [{ type: 'dns', value: NAME }] }
    const more = place(orderFor(NAME, { profile: 'default', notAfter: '2026-12-01T00:00:00Z' }))
    expect((await find({ asked }))?.url).toBe(more)
    const less = place(orderFor(NAME))
    const demanding = { ...asked, profile: 'shortlived', notAfter: '2027-01-01T00:00:00Z', replaces: 'aYhb.AIdl' }
    expect((await find({ asked: demanding }))?.url).toBe(less)
  })

  it('when it is shown with the same moments in another spelling', async () => {
    const renewal = { 'end-date': '2027-01-01T00:00:00Z', lifetime: 86_400 }
    const asked = { ...orderFor(NAME), notAfter: '2026-12-01T00:00:00.250Z', 'auto-renewal': renewal }
    const shown = { 'end-date': '2027-01-01T01:00:00+01:00', lifetime: 86_400, 'lifetime-adjust': 0 }
    const url = place(orderFor(NAME, { notAfter: '2026-12-01T00:00:00Z', 'auto-renewal': shown }))
    expect((await find({ asked }))?.url).toBe(url)
  })
})

describe('another order is not taken for it', () => {
  it.each<[string, { readonly [member in keyof Order]?: Order[member] | undefined }]>([
    ['for one name more', { identifiers: [NAME, 'b.example'].map((value) => ({ type: 'dns', value })) }],
    ['whose CSR was sent', { status: 'processing' }],
    ['that is over', { status: 'valid' }],
    ['that has expired', { expires: '2020-01-01T00:00:00Z' }],
    ['of another profile', { profile: 'classic' }],
    ['with another end', { notAfter: '2026-12-02T00:00:00Z' }],
    ['in the place of another certificate', { replaces: 'other.AIdl' }],
    ['by another delegation', { delegation: `${CA}/delegation/2` }],
    ['that does not renew by itself', { 'auto-renewal': undefined }],
    ['that ends on another day', { 'auto-renewal': { 'end-date': '2027-02-01T00:00:00Z', lifetime: 86_400 } }],
    ['of another lifetime', { 'auto-renewal': { 'end-date': '2027-01-01T00:00:00Z', lifetime: 172_800 } }],
  ])('%s', async (_which, differs) => {
    const asked = {
      identifiers: [{ type: 'dns', value: NAME }],
      profile: 'shortlived',
      notAfter: '2026-12-01T00:00:00Z',
      replaces: 'aYhb.AIdl',
      delegation: `${CA}/delegation/1`,
      'auto-renewal': { 'end-date': '2027-01-01T00:00:00Z', lifetime: 86_400 },
    }
    const same = orderFor(NAME, { ...asked, expires: buildDate(clock.nowMs() + HOUR_MS) })
    place({ ...same, ...differs } as Order)
    expect(await find({ asked })).toBeUndefined()
    expect(written).toEqual([])
    const url = place(same)
    expect((await find({ asked }))?.url).toBe(url)
  })

  it('that replaces a certificate, or renews by itself, when ours did not', async () => {
    place(orderFor(NAME, { replaces: 'aYhb.AIdl' }))
    place(orderFor(NAME, { 'auto-renewal': { 'end-date': '2027-01-01T00:00:00Z', lifetime: 86_400 } }))
    expect(await find()).toBeUndefined()
  })

  it('that another try for the same names holds; of two, the free one is', async () => {
    const free = place(orderFor(NAME))
    const held = place(orderFor(NAME))
    expect((await find({ isFree: async (url) => url !== held }))?.url).toBe(free)
    expect(written).toEqual([free])
    expect(await find({ isFree: async () => false })).toBeUndefined()
  })

  it('that somebody else wrote down at the same moment: it is let go of again', async () => {
    const older = place(orderFor(NAME))
    const newer = place(orderFor(NAME))
    const isFree = async (url: string): Promise<boolean> => url === older || !written.includes(newer)
    expect((await find({ isFree }))?.url).toBe(older)
    expect(written).toEqual([newer, undefined, older])
  })
})

describe('a list without it', () => {
  it('that is read to its end leaves nothing to say', async () => {
    placeMany(10)
    expect(await find()).toBeUndefined()
    expect(lookedAt).toHaveLength(10)
    expect(logged.lines).toEqual([])
  })

  it('that does not exist, or ends in a page that cannot be read, is one with what could be read', async () => {
    expect(await find({ list: undefined })).toBeUndefined()
    const refuse = () => Promise.reject(gone)
    expect(await find({ client: { postAsGet: refuse, order } })).toBeUndefined()
    const url = place(orderFor(NAME))
    placeMany(5)
    const half = (page: string) => (page.endsWith('=0') ? postAsGet(page) : refuse())
    expect((await find({ client: { postAsGet: half, order } }))?.url).toBe(url)
  })

  it('that is longer than anybody can read through is given up with a warning: another order issues nothing by itself', async () => {
    pageSize = 5000
    placeMany(1500)
    expect(await find()).toBeUndefined()
    expect(lookedAt).toHaveLength(1000)
    expect(logged.lines).toMatchObject([{ level: 'warn', looked: 1000 }])
  })

  it('that goes round in a circle comes to an end', async () => {
    placeMany(2)
    const circle = async (url: string) => ({ ...(await postAsGet(url)), links: () => [url] })
    expect(await find({ client: { postAsGet: circle, order } })).toBeUndefined()
    expect(pagesRead).toBeLessThanOrEqual(2)
  })

  it('at an authority so slow that nothing would be left of the time of this try is given up as well', async () => {
    placeMany(40)
    const slow = async (url: string) => {
      await clock.advance(10_000)
      return order(url)
    }
    expect(await find({ client: { postAsGet, order: slow } })).toBeUndefined()
    expect(lookedAt.length).toBeLessThan(15)
    expect(logged.lines).toMatchObject([{ level: 'warn' }])
  })
})

describe('an authority that fails', () => {
  it('at one order may hide ours: it is asked again later, but not for ever', async () => {
    place(down)
    place(orderFor('other.isp.example'))
    await expect(find()).rejects.toBe(down)
    expect(await find({ placingSinceMs: clock.nowMs() - 2 * HOUR_MS })).toBeUndefined()
    const url = place(orderFor(NAME))
    expect((await find())?.url).toBe(url)
  })

  it.each([
    ['is not there', new Fault('ACME_UNREACHABLE', 'connection refused')],
    ['wants to be left alone', new AcmeProblem('rateLimited', 'too many')],
    ['does not know us', new AcmeProblem('accountDoesNotExist', 'who?')],
    ['wants new terms agreed to', new AcmeProblem('userActionRequired', 'new terms')],
  ])('because it %s ends the search', async (_why, answer) => {
    place(orderFor(NAME))
    place(answer)
    await expect(find()).rejects.toBe(answer)
  })

  it('is not looked at any more once this try is told to stop', async () => {
    const stop = new AbortController()
    placeMany(3)
    const stopping = async (url: string) => {
      stop.abort(new Error('enough'))
      lookedAt.push(url)
      throw gone
    }
    await expect(find({ client: { postAsGet, order: stopping }, signal: stop.signal })).rejects.toThrow('enough')
    expect(lookedAt).toHaveLength(1)
  })
})
