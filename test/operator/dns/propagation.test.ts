import { describe, expect, it } from 'vitest'
import type { DnsChallenges } from '../../../src/acme/client/certify.ts'
import { CLASS, RCODE, TYPE } from '../../../src/dns/codes.ts'
import { buildMessage, type Message, parseMessage } from '../../../src/dns/message.ts'
import { stringsData } from '../../../src/dns/rdata.ts'
import { type PropagationOptions, seenEverywhere } from '../../../src/operator/dns/propagation.ts'
import { ManualClock } from '../../support/manual-clock.ts'

const OWNER = '_acme-challenge.cpe-1.cpe.example'
const VALUE = 'LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0'

function answer(values: readonly string[], rcode: number = RCODE.NOERROR): Message {
  const answers = values.map((value) => ({
    name: OWNER,
    type: TYPE.TXT,
    class: CLASS.IN,
    ttl: 30,
    data: stringsData(value),
  }))
  return parseMessage(buildMessage({ isResponse: true, rcode, answers }))!
}

/** Servers `a` and `b`; what each says is changed by the test. */
function createWorld(more: Partial<PropagationOptions> = {}) {
  const clock = new ManualClock()
  const done: string[] = []
  const way: DnsChallenges = {
    async present() {
      done.push('present')
    },
    async cleanup() {
      done.push('cleanup')
    },
  }
  const asked: string[] = []
  const world = {
    clock,
    done,
    asked,
    says: { a: () => answer([]), b: () => answer([]) } as Record<string, () => Message>,
    challenges: seenEverywhere(way, {
      servers: async () => ['a', 'b'].map((name) => ({ name, addresses: [{ host: name, port: 53 }] })),
      timeoutMs: 60_000,
      async ask({ host }, name, type): Promise<Message> {
        asked.push(`${host} ${name} ${type}`)
        return world.says[host]!()
      },
      clock,
      ...more,
    }),
    present(signal = new AbortController().signal) {
      const presented = world.challenges.present(OWNER, VALUE, signal).then(() => done.push('seen'))
      presented.catch(() => {})
      return presented
    },
  }
  return world
}

describe('the propagation check', () => {
  it('asks every server for TXT and ends at once when all have the value', async () => {
    const world = createWorld()
    world.says = { a: () => answer(['another', VALUE]), b: () => answer([VALUE]) }
    await world.present()
    expect(world.done).toEqual(['present', 'seen'])
    expect(world.asked).toEqual([`a ${OWNER} 16`, `b ${OWNER} 16`])
  })

  it('does not end while one server lacks the value, and asks the other one no more', async () => {
    const world = createWorld()
    world.says.a = () => answer([VALUE])
    const presented = world.present()
    await world.clock.advance(30_000)
    expect(world.done).toEqual(['present'])
    expect(world.asked.filter((line) => line.startsWith('a'))).toHaveLength(1)
    // 0, 250 ms, 750 ms, 1750 ms, 3750 ms, 7750 ms, and then every five seconds.
    expect(world.asked.filter((line) => line.startsWith('b'))).toHaveLength(10)
    world.says.b = () => answer([VALUE])
    await world.clock.advance(5_000)
    await presented
    expect(world.done).toEqual(['present', 'seen'])
  })

  it('gives up after its time and names the servers without the record, with what each said', async () => {
    const world = createWorld()
    world.says = {
      a: () => answer([], RCODE.NXDOMAIN),
      b: () => {
        throw new Error('nothing came within 5000 ms')
      },
    }
    const presented = world.present()
    await world.clock.advance(60_000)
    await expect(presented).rejects.toMatchObject({
      code: 'CHALLENGE_NOT_VISIBLE',
      message: `after 60 s ${OWNER} TXT is missing at a (NXDOMAIN), b (b:53: nothing came within 5000 ms)`,
      hint: expect.stringContaining('zone.propagation-timeout'),
    })
  })

  it('takes the word of the first address of a server that answers', async () => {
    const world = createWorld({
      servers: async () => [
        {
          name: 'ns.example',
          addresses: [
            { host: 'a', port: 53 },
            { host: 'b', port: 53 },
          ],
        },
      ],
    })
    world.says.a = () => {
      throw new Error('ENETUNREACH')
    }
    world.says.b = () => answer([VALUE])
    await world.present()
    expect(world.asked).toHaveLength(2)
  })

  it('ends when it is told to stop', async () => {
    const world = createWorld()
    const stop = new AbortController()
    const presented = world.present(stop.signal)
    await world.clock.advance(1_000)
    stop.abort(new Error('the service stops'))
    await expect(presented).rejects.toThrow('the service stops')
  })

  it('leaves cleanup as it is', async () => {
    const world = createWorld()
    await world.challenges.cleanup(OWNER, VALUE)
    expect(world.done).toEqual(['cleanup'])
    expect(world.asked).toEqual([])
  })
})
