import type { DnsChallenges } from '../../acme/client/certify.ts'
import type { Clock } from '../../core/clock.ts'
import { Fault, reasonOf } from '../../core/fault.ts'
import { RCODE, rcodeName, TYPE } from '../../dns/codes.ts'
import type { Message } from '../../dns/message.ts'
import { type Endpoint, endpointText } from '../../net/bind.ts'
import type { NameServer } from './nameservers.ts'

/** Pauses between two looks at a server that lacks the record. */
const PAUSE_MS_FIRST = 250
const PAUSE_MS_MAX = 5_000

export interface PropagationOptions {
  /** Which servers must have the record of this owner. An empty list: nothing is waited for. */
  readonly servers: (owner: string) => Promise<readonly NameServer[]>
  readonly timeoutMs: number
  readonly ask: (server: Endpoint, name: string, type: number, signal: AbortSignal) => Promise<Message>
  readonly clock: Clock
}

/**
 * The same challenges, but `present` resolves only when every server has the record: a CA may ask any of them, and after a
 * wrong answer the authorization is lost (RFC 8555 §8.2 leaves it to the client when to answer). Throws
 * CHALLENGE_NOT_VISIBLE, which names the servers that lack it.
 */
export function seenEverywhere(challenges: DnsChallenges, options: PropagationOptions): DnsChallenges {
  return {
    async present(owner, value, signal) {
      await challenges.present(owner, value, signal)
      await awaitPropagation({ owner, value }, options, signal)
    },
    cleanup: (owner, value) => challenges.cleanup(owner, value),
  }
}

interface Proof {
  readonly owner: string
  readonly value: string
}

async function awaitPropagation(proof: Proof, options: PropagationOptions, signal: AbortSignal): Promise<void> {
  const { clock, timeoutMs } = options
  const untilMs = clock.monotonicMs() + timeoutMs
  const servers = await options.servers(proof.owner)
  const lacking = await Promise.all(
    servers.map(async (server) => {
      const reason = await awaitServer(server, proof, options, { untilMs, signal })
      return reason === undefined ? [] : [`${server.name} (${reason})`]
    }),
  )
  const without = lacking.flat()
  if (without.length === 0) return
  throw new Fault(
    'CHALLENGE_NOT_VISIBLE',
    `after ${timeoutMs / 1000} s ${proof.owner} TXT is missing at ${without.join(', ')}`,
    { owner: proof.owner },
  )
}

/** Undefined once the server has the record; else what it said last. */
async function awaitServer(
  server: NameServer,
  proof: Proof,
  options: PropagationOptions,
  { untilMs, signal }: { readonly untilMs: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  const { clock } = options
  for (let pauseMs = PAUSE_MS_FIRST; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
    const reason = await look(server, proof, options, { untilMs, signal })
    const leftMs = untilMs - clock.monotonicMs()
    if (reason === undefined || leftMs <= 0) return reason
    await clock.sleep(Math.min(pauseMs, leftMs), signal)
  }
}

/** The first address that answers speaks for the server. */
async function look(
  { addresses }: NameServer,
  { owner, value }: Proof,
  { ask, clock }: PropagationOptions,
  { untilMs, signal }: { readonly untilMs: number; readonly signal: AbortSignal },
): Promise<string | undefined> {
  let reason = 'no address'
  for (const address of addresses) {
    try {
      const answer = await ask(address, owner, TYPE.TXT, signal)
      if (texts(answer).includes(value)) return undefined
      return answer.rcode === RCODE.NOERROR ? 'the record is not there' : rcodeName(answer.rcode)
    } catch (error) {
      signal.throwIfAborted()
      reason = `${endpointText(address)}: ${reasonOf(error)}`
      if (clock.monotonicMs() > untilMs) break
    }
  }
  return reason
}

/** Of any owner: behind a CNAME the record has another one than was asked for. */
function texts({ answers }: Message): readonly string[] {
  return answers.flatMap(({ type, data }) =>
    type === TYPE.TXT && 'strings' in data ? [Buffer.concat(data.strings).toString('latin1')] : [],
  )
}
