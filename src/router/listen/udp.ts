import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { lookup } from 'node:dns'
import { isIP, isIPv6 } from 'node:net'
import { explain } from '../../core/log.ts'
import { asksForCookie, cookieReply, examineQuery } from '../../dns/query.ts'
import { plainAddress } from '../../net/address.ts'
import { bindFault, type Endpoint } from '../../net/bind.ts'
import { WorkLimit } from '../../net/limit.ts'
import { afterReading, allSent } from '../../net/turn.ts'
import { BATCH, type DatagramBatch } from '../../net/udp-batch.ts'
import type { Outcome, Query, Resolver } from '../resolve/resolver.ts'
import { neverFailing } from './last-resort.ts'
import { ANSWER_MS_MAX, type Listener, type ListenerContext } from './listener.ts'
import { MESSAGE_BYTES_MAX, writeReply } from './reply.ts'

/** Questions waiting for an upstream; over it new ones are dropped and their clients ask again. */
const OPEN_QUERIES_MAX = 4096
/** Of one client: what a second router behind this one needs, and a quarter of all. */
const OPEN_QUERIES_PER_CLIENT_MAX = 1024

/** Then connections and timers get their turn; what still waits is told of again. */
const BATCHES_IN_A_ROW_MAX = 8
const ALONE = -1

type Sender = Pick<RemoteInfo, 'address' | 'port'>

/** DNS over UDP (RFC 1035 §4.2.1). */
export function udpListener(at: Endpoint, { clock, log, cookies, admit, batchSocket }: ListenerContext): Listener {
  const family = isIPv6(at.host) ? 6 : 4
  const socket: Socket = createSocket({
    type: family === 6 ? 'udp6' : 'udp4',
    // A reply goes to the address the query came from: no lookup, which would put it off to the next turn. Only the
    // settings may hold a name.
    lookup: (host, _options, done) => (isIP(host) === 0 ? lookup(host, family, done) : done(null, host, family)),
  })
  const stopping = new AbortController()
  const scratch = Buffer.alloc(MESSAGE_BYTES_MAX)
  const open = new WorkLimit(OPEN_QUERIES_MAX, OPEN_QUERIES_PER_CLIENT_MAX)
  let endpoint = at
  let batch: DatagramBatch | undefined
  /** Which datagram of the batch is being answered; its answer then leaves with those of the others. */
  let inBatch = ALONE

  const send = (wire: Uint8Array, to: Sender): void => {
    if (stopping.signal.aborted) return
    // Copied: the bytes must outlive this turn.
    const copy = Buffer.from(wire)
    // No callback of the socket: it would cost a turn, and whoever gets no answer asks again.
    afterReading(() => socket.send(copy, to.port, to.address))
  }
  const reply = (query: Query, outcome: Outcome, to: Sender): void => {
    if (outcome.kind !== 'answer') return
    if (inBatch === ALONE) send(scratch.subarray(0, writeReply(scratch, 0, query, outcome, cookies)), to)
    else batch!.reply(inBatch, writeReply(batch!.room(inBatch), 0, query, outcome, cookies))
  }
  /** To those who may not ask, not even an error is owed. */
  const replyToOther = (wire: Buffer, error: Uint8Array, to: Sender): void => {
    const address = plainAddress(to.address)
    if (admit?.(address) === false) return
    const edns = asksForCookie(wire)
    const cookie = edns && cookies?.answerTo(edns, address)
    send(cookie ? cookieReply(edns, cookie.option, cookie.rejected ? 'bad' : 'good') : error, to)
  }

  const answerTo = (resolver: Resolver, wire: Buffer, from: Sender): void => {
    // Nobody can receive at port 0: a reply would be a reflection. What comes from here would come back here.
    if (from.port === 0 || (from.port === endpoint.port && from.address === endpoint.host)) return
    const examined = examineQuery(wire)
    if (examined.kind === 'drop') return
    if (examined.kind === 'error') return replyToOther(wire, examined.reply, from)
    const client = { address: plainAddress(from.address), transport: 'udp' } as const
    const query = { view: examined.view, client, deadlineMs: clock.monotonicMs() + ANSWER_MS_MAX }
    if (!open.hasRoomFor(client.address)) return
    const outcome = resolver.resolve(query, stopping.signal)
    if (!(outcome instanceof Promise)) return reply(query, outcome, from)
    open.begin(client.address)
    void outcome.then((settled) => {
      open.end(client.address)
      reply(query, settled, from)
    })
  }

  /** node:dgram has brought one datagram; what else waits in the socket comes at once. */
  const answerWaiting = (resolver: Resolver): void => {
    for (let round = 0; batch && round < BATCHES_IN_A_ROW_MAX; round++) {
      const count = batch.receive()
      for (inBatch = 0; inBatch < count; inBatch++) {
        answerTo(resolver, batch.message(inBatch), batch.sender(inBatch))
      }
      inBatch = ALONE
      batch.send()
      if (count < BATCH) return
    }
  }

  return {
    id: 'udp',
    transport: 'udp',
    get endpoint() {
      return endpoint
    },
    start: (chain) =>
      new Promise((resolve, reject) => {
        const resolver = neverFailing(chain, log)
        const onError = (error: Error): void => {
          socket.close()
          reject(bindFault(error, at))
        }
        socket.once('error', onError)
        const opened = batchSocket?.(at)
        batch = opened?.batch
        socket.bind(opened ? { fd: opened.fd } : { address: at.host, port: at.port }, () => {
          socket.removeListener('error', onError)
          socket.on('error', (error) => log.error(explain(error), 'UDP socket failed'))
          socket.on('message', (wire, from) => {
            inBatch = batch?.lone(from.address, from.port) ?? ALONE
            answerTo(resolver, wire, from)
            inBatch = ALONE
            answerWaiting(resolver)
          })
          endpoint = { host: socket.address().address, port: socket.address().port }
          resolve()
        })
      }),
    async stop(graceMs) {
      socket.removeAllListeners('message')
      const untilMs = clock.monotonicMs() + graceMs
      while (open.open > 0 && clock.monotonicMs() < untilMs) await clock.sleep(10)
      stopping.abort()
      await allSent()
      await new Promise<void>((resolve) => void socket.close(resolve))
    },
  }
}
