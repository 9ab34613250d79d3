import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'
import { CLASS } from '../../dns/codes.ts'
import { FrameReader, frameOf } from '../../dns/frame.ts'
import { buildMessage, type Message, parseMessage } from '../../dns/message.ts'
import { MessageView } from '../../dns/view.ts'
import type { Endpoint } from '../../net/bind.ts'

/** What fits into every path without fragments. */
const UDP_BYTES_MAX = 1232
const UDP_TRIES_MAX = 2
const UDP_MS_MAX = 1_000
const TCP_MS_MAX = 3_000
/** Datagrams that are no answer to our question: forged ones, late ones. */
const STRAY_MAX = 100

/**
 * One question to one server, without recursion: by UDP, and by TCP when the answer was cut short or UDP brings none.
 * Throws an Error in words for people when nothing usable came.
 */
export async function askServer(server: Endpoint, name: string, type: number, signal: AbortSignal): Promise<Message> {
  const query = buildMessage({
    id: randomInt(0x1_0000),
    questions: [{ name, type, class: CLASS.IN }],
    edns: { udpSize: UDP_BYTES_MAX, version: 0, dnssecOk: false, options: [] },
  })
  for (let attempt = 0; attempt < UDP_TRIES_MAX; attempt++) {
    signal.throwIfAborted()
    const answer = await byUdp(server, query, signal)
    if (answer === 'cannot be reached') break
    if (answer && !answer.truncated) return answer
    if (answer) break
  }
  const answer = answerTo(query, await exchangeByTcp(server, query, { timeoutMs: TCP_MS_MAX, signal }))
  if (!answer) throw new Error('the reply is not for this question')
  return answer
}

/** One message and its reply over a connection of their own (RFC 7766 §6.2.1 lets the client close). */
export function exchangeByTcp(
  server: Endpoint,
  message: Uint8Array,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const socket = connect(server)
    const reader = new FrameReader()
    const fail = (error: Error): void => {
      signal?.removeEventListener('abort', onAbort)
      socket.destroy()
      reject(error)
    }
    const onAbort = (): void => fail(signal?.reason as Error)
    if (signal?.aborted) return onAbort()
    signal?.addEventListener('abort', onAbort, { once: true })
    socket.setTimeout(timeoutMs, () => fail(new Error(`nothing came within ${timeoutMs} ms`)))
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('it closed the connection')))
    socket.on('connect', () => socket.write(frameOf(message)))
    socket.on('data', (chunk) => {
      reader.push(chunk)
      const reply = reader.next()
      if (reply) {
        // What `fail` does afterwards, at the close, finds a promise that is settled.
        resolve(Uint8Array.from(reply))
        socket.destroy()
      } else if (reader.violation !== undefined) fail(new Error(reader.violation))
    })
  })
}

/** Undefined: nothing came in time. */
function byUdp(
  server: Endpoint,
  query: Uint8Array,
  signal: AbortSignal,
): Promise<Message | 'cannot be reached' | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIPv6(server.host) ? 'udp6' : 'udp4')
    let strays = 0
    const end = (result: Message | 'cannot be reached' | undefined): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', onAbort)
      socket.removeAllListeners()
      // An error that was on its way when the socket was closed must not end the process.
      socket.on('error', () => {})
      socket.close()
      resolve(result)
    }
    const onAbort = (): void => end(undefined)
    const timer = setTimeout(onAbort, UDP_MS_MAX)
    signal.addEventListener('abort', onAbort, { once: true })
    socket.on('error', () => end('cannot be reached'))
    socket.on('message', (wire) => {
      const answer = answerTo(query, wire)
      if (answer) end(answer)
      else if (++strays === STRAY_MAX) end(undefined)
    })
    // Connected: the kernel passes on nothing that comes from elsewhere.
    socket.connect(server.port, server.host, () => socket.send(query))
  })
}

/** Undefined unless it carries our id and our question, and can be read (RFC 5452 §9.1). */
function answerTo(query: Uint8Array, wire: Uint8Array): Message | undefined {
  const asked = MessageView.over(query)!
  const view = MessageView.over(wire)
  if (!view?.isResponse || view.id !== asked.id || !asked.sameQuestion(view)) return undefined
  return parseMessage(wire)
}
