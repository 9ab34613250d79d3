// The upstream of every server: answers each A question with two addresses by UDP, TCP and TLS, and tells its parent how
// often it was asked. Usage: node bench/responder.mjs PORT TLSPORT [KEY CERT]
import { createSocket } from 'node:dgram'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { RECORDS, TTL_S } from './message.mjs'

const HEADER_BYTES = 12
const TYPE_A = 1
const OPT = Buffer.from('00002904d0000000000000', 'hex')

let asked = 0
const [port, tlsPort] = process.argv.slice(2, 4).map(Number)
const [key, cert] = process.argv.slice(4).map((file) => readFileSync(file))
const socket = createSocket('udp4')
socket.on('message', (query, from) => socket.send(answerTo(query), from.port, from.address))
if (key) createTlsServer({ key, cert, ALPNProtocols: ['dot'] }, serve).listen(tlsPort, '127.0.0.1')
createServer(serve).listen(port, '127.0.0.1', () => socket.bind(port, '127.0.0.1', () => process.send('ready')))
process.on('message', () => process.send(asked))
process.on('disconnect', () => process.exit())

/** dnsdist asks by TCP what it was asked by TCP. The answers of one read leave in one write. */
function serve(connection) {
  let bytes = Buffer.alloc(0)
  connection.setNoDelay(true)
  connection.on('error', () => connection.destroy())
  connection.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    const answers = []
    while (bytes.length >= 2 && bytes.length >= 2 + bytes.readUInt16BE(0)) {
      const end = 2 + bytes.readUInt16BE(0)
      const answer = answerTo(bytes.subarray(2, end))
      answers.push(Buffer.of(answer.length >> 8, answer.length & 0xff), answer)
      bytes = bytes.subarray(end)
    }
    if (answers.length > 0) connection.write(Buffer.concat(answers))
  })
}

function answerTo(query) {
  asked++
  let end = HEADER_BYTES
  while (query[end] !== 0) end += query[end] + 1
  end += 5
  const count = query.readUInt16BE(end - 4) === TYPE_A ? RECORDS : 0
  const hasOpt = query.readUInt16BE(10) > 0
  const head = Buffer.from(query.subarray(0, end))
  head[2] = 0x84 | (query[2] & 0x01)
  head[3] = 0x80
  head.writeUInt16BE(count, 6)
  head.writeUInt16BE(0, 8)
  head.writeUInt16BE(hasOpt ? 1 : 0, 10)
  const records = Array.from({ length: count }, (_, index) => addressRecord(index + 1))
  return Buffer.concat([head, ...records, ...(hasOpt ? [OPT] : [])])
}

function addressRecord(lastOctet) {
  const record = Buffer.from('c00c000100010000000000040c000200', 'hex')
  record.writeUInt32BE(TTL_S, 6)
  record.set([192, 0, 2, lastOctet], 12)
  return record
}
