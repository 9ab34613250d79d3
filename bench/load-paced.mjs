// Load at a fixed rate, by UDP or DoT, as independent clients make it: queries leave when they are due, whether or not
// the ones before were answered. The latencies are the point, not the throughput.
import { createSocket } from 'node:dgram'
import { connect as connectTls } from 'node:tls'
import { isRight, queryOf } from './message.mjs'
import { fail, job, Stretch } from './stretch.mjs'

const CLIENTS = 8

const stretch = new Stretch()
const clients = await Promise.all(Array.from({ length: CLIENTS }, () => (job.tls ? dotClient() : udpClient())))
const startedMs = performance.now()
let sent = 0
pace()

function pace() {
  const nowMs = performance.now()
  for (const due = ((nowMs - startedMs) / 1000) * job.rate; sent < due; sent++) clients[sent % CLIENTS](nowMs)
  setImmediate(pace)
}

/** When the query with this id was sent; 0: not open. */
function openQueries() {
  const sentMs = new Float64Array(0x1_0000)
  let nextId = 0
  return {
    next(nowMs) {
      const id = nextId
      nextId = (nextId + 1) & 0xffff
      sentMs[id] = nowMs
      const query = Buffer.from(queryOf(id))
      query.writeUInt16BE(id, 0)
      return query
    },
    answered(wire) {
      const id = wire.readUInt16BE(0)
      if (sentMs[id] === 0) return
      if (!isRight(wire, queryOf(id))) fail('a wrong answer came')
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
