// Load at a fixed rate, by UDP, DoT or DoH, as independent clients make it: queries leave when they are due, whether or
// not the ones before were answered. The latencies are the point, not the throughput. With `miss`, every name is a new one.
import { createSocket } from 'node:dgram'
import { connect as connectHttp2 } from 'node:http2'
import { connect as connectTls } from 'node:tls'
import { isRight, newPrefix, newQuery, queryOf } from './message.mjs'
import { fail, job, Stretch } from './stretch.mjs'

const CLIENTS = 8
/** Above it a timer's millisecond would make bursts; below it a busy loop would only heat the core. */
const TIMER_RATE_MAX = 5_000

const stretch = new Stretch()
const prefix = newPrefix()
let asked = 0
const makeClient = job.doh ? dohClient : job.tls ? dotClient : udpClient
const clients = await Promise.all(Array.from({ length: CLIENTS }, () => makeClient()))
const startedMs = performance.now()
let sent = 0
pace()

function pace() {
  const nowMs = performance.now()
  for (const due = ((nowMs - startedMs) / 1000) * job.rate; sent < due; sent++) clients[sent % CLIENTS](nowMs)
  if (job.rate > TIMER_RATE_MAX) setImmediate(pace)
  else setTimeout(pace, 1)
}

/** When the query with this id was sent; 0: not open. */
function openQueries() {
  const sentMs = new Float64Array(0x1_0000)
  /** The new names, by id. */
  const queries = []
  let nextId = 0
  return {
    next(nowMs) {
      const id = nextId
      nextId = (nextId + 1) & 0xffff
      sentMs[id] = nowMs
      const query = job.miss ? newQuery(prefix, asked++) : Buffer.from(queryOf(id))
      query.writeUInt16BE(id, 0)
      if (job.miss) queries[id] = query
      return query
    },
    answered(wire) {
      const id = wire.readUInt16BE(0)
      if (sentMs[id] === 0) return
      if (!isRight(wire, job.miss ? queries[id] : queryOf(id))) fail('a wrong answer came')
      stretch.answered(sentMs[id], performance.now())
      sentMs[id] = 0
    },
  }
}

function udpClient() {
  const open = openQueries()
  const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 })
  socket.on('error', (error) => fail(error.message)).on('message', (wire) => open.answered(wire))
  return new Promise((resolve) =>
    socket.connect(job.port, '127.0.0.1', () => resolve((nowMs) => socket.send(open.next(nowMs)))),
  )
}

function dotClient() {
  const open = openQueries()
  const socket = connectTls({ port: job.port, host: '127.0.0.1', ALPNProtocols: ['dot'], rejectUnauthorized: false })
  socket.setNoDelay(true)
  let rest = Buffer.alloc(0)
  socket.on('error', (error) => fail(error.message)).on('close', () => fail('the server closed a connection'))
  socket.on('data', (chunk) => {
    let bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0)
      open.answered(bytes.subarray(2, end))
      bytes = bytes.subarray(end)
    }
    rest = bytes
  })
  const send = (nowMs) => {
    const query = open.next(nowMs)
    socket.write(Buffer.concat([Buffer.of(query.length >> 8, query.length & 0xff), query]))
  }
  return new Promise((resolve) => socket.once('secureConnect', () => resolve(send)))
}

function dohClient() {
  const open = openQueries()
  const session = connectHttp2(`https://127.0.0.1:${job.port}`, { rejectUnauthorized: false })
  session.on('error', (error) => fail(error.message))
  const send = (nowMs) => {
    const query = open.next(nowMs)
    const stream = session.request({
      ':method': 'POST',
      ':path': '/dns-query',
      'content-type': 'application/dns-message',
    })
    const chunks = []
    stream.on('data', (chunk) => chunks.push(chunk)).on('error', (error) => fail(error.message))
    stream.on('end', () => open.answered(Buffer.concat(chunks)))
    stream.end(query)
  }
  return new Promise((resolve) => session.once('connect', () => resolve(send)))
}
