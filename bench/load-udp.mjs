// Load by UDP: a few sockets, each with a window of open queries; an answer makes room for the next query. With `miss`,
// every name is a new one.
import { createSocket } from 'node:dgram'
import { isRight, newPrefix, newQuery, queryOf } from './message.mjs'
import { fail, job, Stretch } from './stretch.mjs'

const SOCKETS = 4
/** Fewer of new names: under more than these some servers begin to fail queries. */
const WINDOW = job.miss ? 16 : 32
/** A query without an answer for this long was lost, and its place is taken by another. */
const LOST_MS = 250
const SOCKET_BYTES = 1 << 20

const prefix = newPrefix()
let asked = 0

const stretch = new Stretch()
for (let index = 0; index < SOCKETS; index++) ask()

function ask() {
  const socket = createSocket({ type: 'udp4', recvBufferSize: SOCKET_BYTES, sendBufferSize: SOCKET_BYTES })
  /** When the query with this id was sent; 0: not open. */
  const sentMs = new Float64Array(0x1_0000)
  /** The new names, by id. */
  const queries = []
  let nextId = 0
  let progressMs = 0

  const send = (nowMs) => {
    const id = nextId
    nextId = (nextId + 1) & 0xffff
    const query = job.miss ? newQuery(prefix, asked++) : Buffer.from(queryOf(id))
    query.writeUInt16BE(id, 0)
    if (job.miss) queries[id] = query
    sentMs[id] = nowMs
    socket.send(query)
  }
  const fill = (nowMs) => {
    for (let open = 0; open < WINDOW; open++) send(nowMs)
  }
  socket.on('message', (wire) => {
    const nowMs = performance.now()
    const id = wire.readUInt16BE(0)
    if (sentMs[id] === 0) return // late: given up as lost
    if (!isRight(wire, job.miss ? queries[id] : queryOf(id))) fail('a wrong answer came by UDP')
    stretch.answered(sentMs[id], nowMs)
    sentMs[id] = 0
    progressMs = nowMs
    send(nowMs)
  })
  socket.on('error', (error) => fail(error.message))
  socket.connect(job.port, '127.0.0.1', () => {
    setInterval(() => {
      const nowMs = performance.now()
      if (nowMs - progressMs < LOST_MS) return
      sentMs.fill(0)
      progressMs = nowMs
      fill(nowMs)
    }, LOST_MS / 2)
    progressMs = performance.now()
    fill(progressMs)
  })
}
