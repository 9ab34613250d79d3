// Load by handshakes: connect, TLS 1.3, one answer, close, and again. The answer is proof that the server finished too.
import { connect } from 'node:tls'
import { isRight, queryOf } from './message.mjs'
import { fail, job, Stretch } from './stretch.mjs'

const AT_ONCE = 16
/**
 * The same key exchange for every server, so that Hearth on a new OpenSSL does no more work than its peers on an old one.
 * Left to choose, new Node and new OpenSSL agree on the post-quantum group, which has its own row.
 */
const GROUP = job.postQuantum ? 'X25519MLKEM768' : 'X25519'

const stretch = new Stretch()
let nextId = 0
for (let index = 0; index < AT_ONCE; index++) again()

function again(session) {
  const id = nextId
  nextId = (nextId + 1) & 0xffff
  const query = queryOf(id)
  const framed = Buffer.concat([Buffer.of(0, query.length), query])
  framed.writeUInt16BE(id, 2)

  const startedMs = performance.now()
  const socket = connect({
    port: job.port,
    host: '127.0.0.1',
    ALPNProtocols: ['dot'],
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ecdhCurve: GROUP,
    ...(session ? { session } : {}),
  })
  let ticket = session
  let received = Buffer.alloc(0)
  socket.setNoDelay(true)
  socket.on('session', (next) => {
    ticket = next
  })
  socket.on('secureConnect', () => {
    if (session && !socket.isSessionReused()) fail('the server does not resume sessions')
    socket.write(framed)
  })
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return
    const wire = received.subarray(2)
    if (wire.readUInt16BE(0) !== id || !isRight(wire, query)) fail('a wrong answer came after a handshake')
    // The first connection of a chain of resumed ones is a full handshake and does not count.
    if (session || !job.resumed) stretch.answered(startedMs, performance.now())
    if (job.resumed && !ticket) fail('the server gives no session tickets')
    socket.end()
    again(job.resumed ? ticket : undefined)
  })
  socket.on('error', ({ message }) =>
    fail(job.postQuantum && /handshake failure/.test(message) ? `it does not know ${GROUP}` : message),
  )
}
