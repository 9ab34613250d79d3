// Load by TCP and DoT: connections with a window of open queries; the answers of one read make room for as many new
// queries, which leave in one write. With `recordEach`, every query has its own TLS record.
import { connect as connectTcp } from 'node:net'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import { isRight, queryOf } from './message.mjs'
import { fail, job, Stretch } from './stretch.mjs'

function ask() {
  const raw = connectTcp({ port: job.port, host: '127.0.0.1', noDelay: true })
  raw.on('error', (error) => fail(error.message)).on('close', () => fail('the server closed a connection'))
  const gathering = job.recordEach ? new Gathering(raw) : undefined
  const socket = job.tls
    ? connectTls({ socket: gathering ?? raw, ALPNProtocols: ['dot'], rejectUnauthorized: false })
    : raw
  socket.on('error', (error) => fail(error.message))

  const sentMs = new Float64Array(0x1_0000)
  let nextId = 0
  const frame = (nowMs) => {
    const query = queryOf(nextId)
    const framed = Buffer.allocUnsafe(2 + query.length)
    framed.writeUInt16BE(query.length, 0)
    query.copy(framed, 2)
    framed.writeUInt16BE(nextId, 2)
    sentMs[nextId] = nowMs
    nextId = (nextId + 1) & 0xffff
    return framed
  }
  const frames = (count) => {
    const nowMs = performance.now()
    return Array.from({ length: count }, () => frame(nowMs))
  }
  const send = gathering
    ? inOwnRecords(socket, gathering, frames)
    : (count) => socket.write(Buffer.concat(frames(count)))

  let rest = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    const nowMs = performance.now()
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk
    let at = 0
    let answers = 0
    while (at + 2 <= bytes.length) {
      const end = at + 2 + bytes.readUInt16BE(at)
      if (end > bytes.length) break
      const wire = bytes.subarray(at + 2, end)
      const id = wire.readUInt16BE(0)
      if (sentMs[id] === 0 || !isRight(wire, queryOf(id))) fail('a wrong answer came by stream')
      stretch.answered(sentMs[id], nowMs)
      sentMs[id] = 0
      answers++
      at = end
    }
    rest = bytes.subarray(at)
    if (answers > 0) send(answers)
  })
  socket.once(job.tls ? 'secureConnect' : 'connect', () => send(job.window))
}

/** Each write waits for the one before it, because waiting writes would be joined to one record. */
function inOwnRecords(socket, gathering, frames) {
  let wanted = 0
  let busy = false
  const work = () => {
    const queue = frames(wanted)
    wanted = 0
    busy = true
    gathering.hold = true
    const next = () => {
      const framed = queue.shift()
      if (framed) return void socket.write(framed, next)
      gathering.release()
      busy = false
      if (wanted > 0) work()
    }
    next()
  }
  return (count) => {
    wanted += count
    if (!busy) work()
  }
}

/** Lies between TLS and TCP: while `hold` is set it keeps records back, to send them in one write. */
class Gathering extends Duplex {
  hold = false
  #raw
  #records = []

  constructor(raw) {
    super()
    this.#raw = raw
    raw.on('data', (chunk) => this.push(chunk))
  }
  release() {
    this.#raw.write(Buffer.concat(this.#records))
    this.#records = []
  }
  _read() {}
  _write(record, _encoding, done) {
    if (this.hold) this.#records.push(record)
    else this.#raw.write(record)
    done()
  }
}

const stretch = new Stretch()
for (let index = 0; index < job.connections; index++) ask()
