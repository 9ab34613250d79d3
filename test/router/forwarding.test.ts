import { describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { RCODE } from '../../src/dns/codes.ts'
import type { Link } from '../../src/net/link.ts'
import { createForwarding, type Forwarding, type ForwardingContext } from '../../src/router/forwarding.ts'
import { chainOf } from '../../src/router/resolve/chain.ts'
import type { Query } from '../../src/router/resolve/resolver.ts'
import type { UpstreamConfig } from '../../src/router/settings/upstreams.ts'
import { parseUpstreamUrl } from '../../src/router/upstream/url.ts'
import { recordingLog } from '../support/log.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { answers, ScriptedUpstream, UNREACHABLE } from '../support/pool.ts'
import { queryOf, queryWire, responseWire } from '../support/query.ts'
import { closedPort, streamServer, udpServer } from '../support/sockets.ts'
import { TestAuthority } from '../support/tls.ts'

const NEVER = new AbortController().signal
const NO_LISTENERS = { do53: [], dot: [], doh: [] }
const RESOLUTION = { strategy: 'failover', ntpNames: [] } as const

const upstream = (url: string, more: Partial<UpstreamConfig> = {}): UpstreamConfig => ({
  address: parseUpstreamUrl(url),
  ...more,
})

type Settings = Parameters<typeof createForwarding>[0]

async function forwardingOf(
  upstreams: readonly UpstreamConfig[],
  context: Partial<ForwardingContext> = {},
  listen: Settings['listen'] = NO_LISTENERS,
  more: Partial<Settings> = {},
): Promise<{ forwarding: Forwarding; lines: Record<string, unknown>[] }> {
  const { log, lines } = recordingLog()
  const forwarding = await createForwarding(
    { upstreams, resolution: RESOLUTION, listen, ...more },
    { clock: systemClock, log, onRecovery: () => {}, isClockTrusted: () => true, ...context },
  )
  onTestFinished(() => forwarding.stop())
  return { forwarding, lines }
}

async function ask(forwarding: Forwarding, name = 'a.example', client = '127.0.0.1') {
  const query: Query = { ...queryOf(queryWire(name)), client: { address: client, transport: 'udp' } }
  const startMs = performance.now()
  const outcome = await chainOf(forwarding.layers, forwarding.resolver).resolve(query, NEVER)
  if (outcome.kind !== 'answer') throw new Error('dropped')
  return { ...outcome, rcode: outcome.wire[3]! & 0x0f, tookMs: performance.now() - startMs }
}

/** A resolver over UDP that can be cut off, as a link is: nothing comes back, or the port is closed. */
async function resolver(port = 0) {
  let isCut = false
  const { endpoint, received } = await udpServer((wire, reply) => {
    if (!isCut) reply(responseWire(wire, ['192.0.2.1']))
  }, port)
  return { url: `udp://127.0.0.1:${endpoint.port}`, received, cut: (cut: boolean) => void (isCut = cut) }
}

const pause = (ms: number): Promise<void> => systemClock.sleep(ms)

describe('fail-over, over real sockets', () => {
  it('an upstream that falls silent costs the first question two seconds, the next ones less than half of one', async () => {
    const [first, second] = [await resolver(), await resolver()]
    const { forwarding } = await forwardingOf([upstream(first.url), upstream(second.url)])
    expect((await ask(forwarding)).from).toBe(first.url)
    first.cut(true)
    const hit = await ask(forwarding, 'b.example')
    expect([hit.rcode, hit.from]).toEqual([RCODE.NOERROR, second.url])
    expect(hit.tookMs).toBeGreaterThan(1_900)
    expect(hit.tookMs).toBeLessThan(3_500)
    const next = await ask(forwarding, 'c.example')
    expect(next.from).toBe(second.url)
    expect(next.tookMs).toBeLessThan(1_500)
  })

  it('a closed connection costs no time: all questions are answered while the first upstream dies', async () => {
    const authority = await TestAuthority.create()
    const material = await authority.material({ ipAddresses: ['127.0.0.1'] })
    const first = await streamServer((wire, reply) => reply(responseWire(wire, ['192.0.2.1'])), { material })
    const second = await resolver()
    const url = `tls://127.0.0.1:${first.endpoint.port}`
    const { forwarding } = await forwardingOf([upstream(url, { trust: [authority.rootPem] }), upstream(second.url)])
    expect((await ask(forwarding)).from).toBe(url)
    const answered = Array.from({ length: 200 }, async (_, index) => {
      await pause(index)
      if (index === 60) for (const socket of first.connections) socket.destroy()
      return ask(forwarding, `n${index}.example`)
    })
    const results = await Promise.all(answered)
    expect(results.filter(({ rcode }) => rcode !== RCODE.NOERROR)).toEqual([])
  })
})

describe('when the link is gone, over real sockets', () => {
  it('100 questions get SERVFAIL and extended error 23 at once, and answers within 5 s of its return', async () => {
    const port = await closedPort()
    let recoveries = 0
    const { forwarding, lines } = await forwardingOf([upstream(`udp://127.0.0.1:${port}`)], {
      onRecovery: () => void recoveries++,
    })
    while (forwarding.status()[0]!.state === 'up') await ask(forwarding)

    const startMs = performance.now()
    const failed = await Promise.all(Array.from({ length: 100 }, (_, index) => ask(forwarding, `x${index}.example`)))
    expect(performance.now() - startMs).toBeLessThan(2_000)
    expect(new Set(failed.map(({ rcode }) => rcode))).toEqual(new Set([RCODE.SERVFAIL]))
    expect(failed[0]!.extendedErrors?.[0]?.code).toBe(23)

    await resolver(port)
    const backMs = performance.now()
    while ((await ask(forwarding)).rcode !== RCODE.NOERROR) await pause(50)
    expect(performance.now() - backMs).toBeLessThan(5_000)
    expect(recoveries).toBe(1)
    expect(lines.map(({ msg }) => msg)).toEqual(['upstream is down', 'upstream answers again'])
  })
})

describe('routes', () => {
  it('by domain and by client; what is down does not send private names elsewhere', async () => {
    const [first, corp, guests] = [await resolver(), await resolver(), await resolver()]
    const { forwarding } = await forwardingOf([
      upstream(first.url),
      upstream(corp.url, { domains: ['corp.example'] }),
      upstream(guests.url, { clients: ['192.168.3.0/24'] }),
    ])
    expect((await ask(forwarding, 'a.example')).from).toBe(first.url)
    expect((await ask(forwarding, 'x.corp.example')).from).toBe(corp.url)
    expect((await ask(forwarding, 'a.example', '192.168.3.7')).from).toBe(guests.url)
    expect(forwarding.layers).toHaveLength(1)
    expect(forwarding.explain({ name: 'x.corp.example', type: 1 }, '127.0.0.1')).toEqual({
      layer: 'upstreams',
      says: `goes to ${corp.url} (route corp.example)`,
      decides: true,
    })
    expect(forwarding.status().map(({ routes }) => routes)).toEqual([
      ['default route'],
      ['route corp.example'],
      ['default route for 192.168.3.0/24'],
    ])
  })

  it('upstreams for one domain answer for one another, and for nobody else', async () => {
    const clock = new ManualClock()
    const made: ScriptedUpstream[] = []
    const { forwarding } = await forwardingOf(
      [
        upstream('udp://192.0.2.1'),
        upstream('udp://192.0.2.2', { domains: ['corp.example', 'lab.example'] }),
        upstream('udp://192.0.2.3', { domains: ['corp.example'] }),
      ],
      {
        clock,
        create: ({ address }) => {
          made.push(new ScriptedUpstream(address.id, clock, made.length === 0 ? answers(0) : UNREACHABLE))
          return made.at(-1)!
        },
      },
    )
    expect(await ask(forwarding, 'a.lab.example')).toMatchObject({ rcode: RCODE.SERVFAIL })
    expect(await ask(forwarding, 'a.corp.example')).toMatchObject({ rcode: RCODE.SERVFAIL })
    expect(made.map(({ questions }) => questions.length)).toEqual([0, 2, 1])
  })

  it('no layer and no search without them', async () => {
    const first = await resolver()
    const { forwarding } = await forwardingOf([upstream(first.url)])
    expect(forwarding.layers).toEqual([])
    expect(forwarding.resolver.id).toBe('pool')
  })
})

describe('while the clock is wrong', () => {
  const early = async (isClockTrusted: () => boolean, ntpNames = ['ntp.example', '1.ntp.example']) => {
    const [usual, plain] = [await resolver(), await resolver()]
    const more = {
      bootstrap: [parseUpstreamUrl(plain.url)],
      resolution: { ...RESOLUTION, ntpNames },
    }
    const { forwarding } = await forwardingOf([upstream(usual.url)], { isClockTrusted }, NO_LISTENERS, more)
    return { forwarding, usual, plain }
  }

  it('UP-2: time servers are looked up at the bootstrap resolvers, nothing else is, and only until it is right', async () => {
    let isTrusted = false
    const { forwarding, usual, plain } = await early(() => isTrusted)
    expect((await ask(forwarding, 'NTP.example')).from).toBe(plain.url)
    expect((await ask(forwarding, '1.ntp.example')).from).toBe(plain.url)
    expect((await ask(forwarding, 'x.ntp.example')).from).toBe(usual.url)
    expect((await ask(forwarding, 'a.example')).from).toBe(usual.url)
    isTrusted = true
    expect((await ask(forwarding, 'ntp.example')).from).toBe(usual.url)
  })

  it('an empty list of time servers turns that off', async () => {
    const { forwarding, usual } = await early(() => false, [])
    expect((await ask(forwarding, 'ntp.example')).from).toBe(usual.url)
  })
})

describe('loop guard', () => {
  it('an upstream that is one of our listeners is refused at the start, by name', async () => {
    const listen = { ...NO_LISTENERS, do53: [{ host: '0.0.0.0', port: 5453 }] }
    await expect(forwardingOf([upstream('udp://127.0.0.1:5453')], {}, listen)).rejects.toMatchObject({
      code: 'UPSTREAM_LOOP',
      message: 'udp://127.0.0.1:5453 is this router itself, which listens on 0.0.0.0:5453',
    })
  })

  it('a bootstrap resolver too', async () => {
    const listen = { ...NO_LISTENERS, do53: [{ host: '127.0.0.1', port: 5453 }] }
    const more = { bootstrap: [parseUpstreamUrl('udp://127.0.0.1:5453')] }
    await expect(forwardingOf([upstream('udp://192.0.2.1')], {}, listen, more)).rejects.toMatchObject({
      code: 'UPSTREAM_LOOP',
    })
  })

  it('one that becomes ours when the interfaces change is not asked, until it is somebody else again', async () => {
    const clock = new ManualClock()
    let link: Link = { addresses: ['127.0.0.1'], way: '' }
    const made: ScriptedUpstream[] = []
    const { forwarding, lines } = await forwardingOf(
      [upstream('udp://192.168.1.1'), upstream('udp://192.0.2.53')],
      {
        clock,
        link: async () => link,
        create: ({ address }) => {
          made.push(new ScriptedUpstream(address.id, clock, answers(0)))
          return made.at(-1)!
        },
      },
      { ...NO_LISTENERS, do53: [{ host: '::', port: 53 }] },
    )
    expect((await ask(forwarding)).from).toBe('udp://192.168.1.1')
    link = { addresses: ['127.0.0.1', '192.168.1.1'], way: '' }
    await clock.advance(3_000)
    expect((await ask(forwarding)).from).toBe('udp://192.0.2.53')
    expect(forwarding.status()[0]).toMatchObject({ state: 'down', lastError: expect.stringContaining('router itself') })
    link = { addresses: ['127.0.0.1'], way: '' }
    await clock.advance(3_000)
    expect((await ask(forwarding)).from).toBe('udp://192.168.1.1')
    expect(lines.map(({ msg }) => msg)).toEqual(['upstream is down', 'upstream answers again'])
  })
})

describe('a changed link', () => {
  const watched = async () => {
    const clock = new ManualClock()
    let link: Link = { addresses: [], way: 'eth0 via a' }
    let recoveries = 0
    const made: ScriptedUpstream[] = []
    const world = await forwardingOf([upstream('udp://192.0.2.1')], {
      clock,
      link: async () => link,
      onRecovery: () => void recoveries++,
      create: ({ address }) => {
        made.push(new ScriptedUpstream(address.id, clock))
        return made[0]!
      },
    })
    return {
      ...world,
      clock,
      up: made[0]!,
      recoveries: () => recoveries,
      change: (way: string) => (link = { addresses: [], way }),
    }
  }

  it('is noticed in three seconds: connections are closed, kept failures forgotten, who is down is tried', async () => {
    const { forwarding, clock, up, recoveries, change, lines } = await watched()
    up.does = UNREACHABLE
    for (let index = 0; index < 3; index++) await ask(forwarding)
    await clock.advance(290_000)
    expect(up.resets).toBe(0)
    up.does = answers()
    change('eth0 via b')
    await clock.advance(3_100)
    expect(up.resets).toBe(1)
    expect(forwarding.status()[0]).toMatchObject({ state: 'up' })
    expect(recoveries()).toBe(2)
    expect(lines.map(({ msg }) => msg)).toEqual([
      'upstream is down',
      'upstreams are connected anew',
      'upstream answers again',
    ])
    await clock.advance(60_000)
    expect(up.resets).toBe(1)
  })

  it('may be told by hand', async () => {
    const { forwarding, up } = await watched()
    forwarding.reset('asked for')
    expect(up.resets).toBe(1)
  })

  it('nobody looks any more after the stop', async () => {
    const { forwarding, clock, up } = await watched()
    forwarding.stop()
    await clock.advance(10_000)
    expect([clock.sleeping, up.closed]).toEqual([0, true])
  })
})
