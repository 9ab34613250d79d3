import { beforeAll, describe, expect, it } from 'vitest'
import { Fault } from '../../../src/core/fault.ts'
import { parseMessage } from '../../../src/dns/message.ts'
import type { Answer, Upstream } from '../../../src/router/resolve/resolver.ts'
import { fixedEndpoints } from '../../../src/router/upstream/endpoints.ts'
import { plainUpstream } from '../../../src/router/upstream/plain.ts'
import { streamUpstream } from '../../../src/router/upstream/stream.ts'
import { hostilePackets } from '../../dns/hostile.ts'
import {
  BROKEN,
  cutAnswer,
  drip,
  FORGED,
  openSockets,
  RIGHT,
  rightAnswer,
  STRANGERS,
} from '../../support/faulty-upstream.ts'
import { queryOf, queryWire } from '../../support/query.ts'
import { type StreamServer, streamServer, udpServer, within } from '../../support/sockets.ts'
import { TestAuthority } from '../../support/tls.ts'

/** What every transport makes of a faulty server: an outcome, in time, and nothing left behind. */

const NEVER = new AbortController().signal
const DEADLINE_MS = 5_000
/** Where nothing comes, there is no need to wait long. */
const SHORT_MS = 150
/** What a busy machine may add to a deadline. */
const SLACK_MS = 3_000

let authority: TestAuthority
beforeAll(async () => {
  authority = await TestAuthority.create()
})

async function ask(upstream: Upstream, name = 'a.example', withinMs = DEADLINE_MS): Promise<Answer> {
  const startMs = performance.now()
  try {
    const outcome = await upstream.resolve(queryOf(queryWire(name), 'udp', startMs + withinMs), NEVER)
    if (outcome.kind !== 'answer') throw new Error('dropped')
    return outcome
  } finally {
    expect(performance.now() - startMs).toBeLessThan(withinMs + SLACK_MS)
  }
}

const addressOf = ({ wire }: Answer): unknown => parseMessage(wire)?.answers[0]?.data
const isLate = (wire: Uint8Array): boolean => parseMessage(wire)?.questions[0]?.name === 'late.example'
const isFirst = (server: { readonly received: readonly unknown[] }): boolean => server.received.length === 1

/** No socket is open once the upstream is closed; what of the server is still open is ended before the count. */
async function expectNothingLeft(upstream: Upstream, server: StreamServer | undefined, open: () => Promise<number>) {
  upstream.close?.()
  for (const socket of server?.connections ?? []) socket.destroy()
  const untilMs = performance.now() + SLACK_MS
  while ((await open()) > 0 && performance.now() < untilMs);
  expect(await open()).toBe(0)
  await expect(ask(upstream)).rejects.toMatchObject({ code: 'UPSTREAM_UNREACHABLE' })
}

type Reply = (wire: Uint8Array) => void

describe('UDP', () => {
  const meeting = async (answer: (wire: Uint8Array, reply: Reply) => void, check: (up: Upstream) => Promise<void>) => {
    const server = await udpServer(answer)
    const open = openSockets()
    const upstream = plainUpstream({ id: 'up', endpoint: server.endpoint })
    await check(upstream)
    await expectNothingLeft(upstream, undefined, open)
    return server
  }

  it.each(Object.entries(STRANGERS))('SEC-3: %s is ignored and the real answer used', async (_, forge) => {
    await meeting(
      (wire, reply) => {
        reply(forge(wire))
        reply(rightAnswer(wire))
      },
      async (upstream) => expect(addressOf(await ask(upstream))).toEqual({ address: RIGHT }),
    )
  })

  it.each(Object.entries(STRANGERS))('%s and nothing else is UPSTREAM_TIMEOUT at the deadline', async (_, forge) => {
    await meeting(
      (wire, reply) => reply(forge(wire)),
      async (upstream) =>
        expect(ask(upstream, 'a.example', SHORT_MS)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' }),
    )
  })

  it.each(Object.entries(BROKEN))('a reply %s is UPSTREAM_BROKEN', async (_, broken) => {
    await meeting(
      (wire, reply) => reply(broken(wire)),
      async (upstream) => expect(ask(upstream)).rejects.toMatchObject({ code: 'UPSTREAM_BROKEN' }),
    )
  })

  it('CACHE-1: silence is asked three times in all', async () => {
    const server = await meeting(
      () => {},
      async (upstream) => expect(ask(upstream, 'a.example', 2_000)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' }),
    )
    expect(server.received.length).toBe(3)
  })

  it('an answer after the deadline, and the same answer twice, disturb nobody', async () => {
    const late: (() => void)[] = []
    await meeting(
      (wire, reply) => {
        if (isLate(wire)) return void late.push(() => reply(responseTo(wire, FORGED)))
        late[0]?.()
        for (let copy = 0; copy < 2; copy++) reply(rightAnswer(wire))
      },
      async (upstream) => {
        await expect(ask(upstream, 'late.example', 50)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
        for (const name of ['a.example', 'b.example'])
          expect(addressOf(await ask(upstream, name))).toEqual({ address: RIGHT })
      },
    )
  })

  it('questions under way when it is closed are answered first', async () => {
    const server = await udpServer((wire, reply) => void setTimeout(() => reply(rightAnswer(wire)), 50))
    const open = openSockets()
    const upstream = plainUpstream({ id: 'up', endpoint: server.endpoint })
    const answer = ask(upstream)
    upstream.close?.()
    expect(addressOf(await answer)).toEqual({ address: RIGHT })
    await expectNothingLeft(upstream, undefined, open)
  })
})

const responseTo = (wire: Uint8Array, address: string): Uint8Array => {
  const reply = rightAnswer(wire)
  reply.set(address.split('.').map(Number), reply.length - 4)
  return reply
}

describe.each(['tcp', 'tls'] as const)('over %s', (kind) => {
  const meeting = async (
    answer: (...args: [...Parameters<Parameters<typeof streamServer>[0]>, server: StreamServer]) => void,
    check: (upstream: Upstream, server: StreamServer) => Promise<void>,
  ): Promise<StreamServer> => {
    const server: StreamServer = await streamServer(
      (wire, reply, socket) => answer(wire, reply, socket, server),
      kind === 'tls' ? { material: await authority.material() } : {},
    )
    const open = openSockets()
    const upstream = streamUpstream({
      id: 'up',
      endpoints: fixedEndpoints([server.endpoint]),
      ...(kind === 'tls' ? { tls: { name: 'dns.test', trust: [authority.rootPem] } } : {}),
    })
    await check(upstream, server)
    await expectNothingLeft(upstream, server, open)
    return server
  }
  const answered = async (upstream: Upstream): Promise<void> =>
    expect(addressOf(await ask(upstream))).toEqual({ address: RIGHT })
  const failing =
    (code: string) =>
    async (upstream: Upstream): Promise<void> =>
      expect(ask(upstream, 'a.example', code === 'UPSTREAM_TIMEOUT' ? SHORT_MS : DEADLINE_MS)).rejects.toMatchObject({
        code,
      })

  it.each(Object.entries(STRANGERS))('%s is ignored and the real answer used', async (_, forge) => {
    await meeting((wire, reply) => {
      reply(forge(wire))
      reply(rightAnswer(wire))
    }, answered)
  })

  it.each(Object.entries(BROKEN))('a reply %s is UPSTREAM_BROKEN', async (_, broken) => {
    await meeting((wire, reply) => reply(broken(wire)), failing('UPSTREAM_BROKEN'))
  })

  it('TC, where there is room for everything, is UPSTREAM_BROKEN', async () => {
    await meeting((wire, reply) => reply(cutAnswer(wire)), failing('UPSTREAM_BROKEN'))
  })

  it('silence is UPSTREAM_TIMEOUT', async () => {
    await meeting(() => {}, failing('UPSTREAM_TIMEOUT'))
  })

  it('a slow drip is answered all the same', async () => {
    await meeting((wire, _reply, socket) => void drip(socket, rightAnswer(wire)), answered)
  })

  it('a frame that is announced and never comes is UPSTREAM_TIMEOUT', async () => {
    await meeting((_wire, _reply, socket) => socket.write(Buffer.of(0xff, 0xff, 1, 2, 3)), failing('UPSTREAM_TIMEOUT'))
  })

  it('the largest frame, and then the answer', async () => {
    await meeting((wire, reply) => {
      reply(Buffer.alloc(65_535))
      reply(rightAnswer(wire))
    }, answered)
  })

  it('bytes that are no frames are UPSTREAM_BROKEN', async () => {
    await meeting((_wire, _reply, socket) => socket.write('\0\x05HTTP/1.1 400'), failing('UPSTREAM_BROKEN'))
  })

  it.each(['end', 'destroy'] as const)('a connection ended under the question (%s) is replaced, once', async (how) => {
    const { received } = await meeting((wire, reply, socket, server) => {
      if (isFirst(server)) socket[how]()
      else reply(rightAnswer(wire))
    }, answered)
    expect(received.length).toBe(2)
  })

  it('CACHE-1: one that always ends is UPSTREAM_UNREACHABLE after two sends', async () => {
    const { received } = await meeting((_wire, _reply, socket) => socket.destroy(), failing('UPSTREAM_UNREACHABLE'))
    expect(received.length).toBe(2)
  })

  it('an answer after the deadline, and the same answer twice, disturb nobody', async () => {
    const late: (() => void)[] = []
    await meeting(
      (wire, reply) => {
        if (isLate(wire)) return void late.push(() => reply(responseTo(wire, FORGED)))
        late[0]?.()
        for (let copy = 0; copy < 2; copy++) reply(rightAnswer(wire))
      },
      async (upstream) => {
        await expect(ask(upstream, 'late.example', 50)).rejects.toMatchObject({ code: 'UPSTREAM_TIMEOUT' })
        for (let round = 0; round < 2; round++) await answered(upstream)
      },
    )
  })

  it('reset asks what is open again on a new connection', async () => {
    const { received, connections } = await meeting(
      (wire, reply, _socket, server) => !isFirst(server) && reply(rightAnswer(wire)),
      async (upstream, server) => {
        const answer = answered(upstream)
        await within(
          'the question',
          until(() => server.received.length === 1),
        )
        upstream.reset?.()
        await answer
      },
    )
    expect([received.length, connections.length]).toEqual([2, 2])
  })

  it('questions under way when it is closed are answered first', async () => {
    await meeting(
      (wire, reply) => void setTimeout(() => reply(rightAnswer(wire)), 50),
      async (upstream, server) => {
        const answer = answered(upstream)
        await within(
          'the question',
          until(() => server.received.length === 1),
        )
        upstream.close?.()
        await answer
      },
    )
  })
})

/** Damaged replies to this question, all with its id. */
function* damaged(seed: number, count: number, wire: Uint8Array): Generator<Uint8Array> {
  for (const packet of hostilePackets(seed, count, [rightAnswer(wire), cutAnswer(wire)])) {
    if (packet.length >= 2) packet.set(wire.subarray(0, 2))
    yield packet
  }
}

describe('damaged replies', () => {
  const PACKETS = 3_000
  const outcomesOf = async (upstream: Upstream): Promise<Set<unknown>> => {
    const outcomes = new Set<unknown>()
    for (let round = 0; round * 15 < PACKETS; round++) {
      outcomes.add(
        await ask(upstream, 'a.example', 60).then(
          () => 'answer',
          (error: unknown) => (error instanceof Fault ? error.code : error),
        ),
      )
    }
    return outcomes
  }
  const KNOWN = new Set(['answer', 'UPSTREAM_BROKEN', 'UPSTREAM_TIMEOUT', 'UPSTREAM_UNREACHABLE'])

  it('by UDP: an answer or a Fault, never anything else', async () => {
    let seed = 0
    const server = await udpServer((wire, reply) => {
      for (const packet of damaged(seed++, 15, wire)) reply(packet)
    })
    const outcomes = await outcomesOf(plainUpstream({ id: 'up', endpoint: server.endpoint }))
    expect([...outcomes].filter((outcome) => !KNOWN.has(String(outcome)))).toEqual([])
    expect(outcomes.size).toBeGreaterThan(1)
  })

  it('by TCP: an answer or a Fault, never anything else', async () => {
    let seed = 1_000
    const server = await streamServer((wire, reply) => {
      for (const packet of damaged(seed++, 15, wire)) reply(packet)
    })
    const upstream = streamUpstream({ id: 'up', endpoints: fixedEndpoints([server.endpoint]) })
    const outcomes = await outcomesOf(upstream)
    expect([...outcomes].filter((outcome) => !KNOWN.has(String(outcome)))).toEqual([])
    expect(outcomes.size).toBeGreaterThan(1)
  })
})

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise<void>((resolve) => void setImmediate(resolve))
}
