// Load by plain GET of published certificates over TLS connections that are kept, HTTP/1.1: raw sockets, so that the
// generator is cheaper than the server. `ifNoneMatch`: each request shows what it has, and is answered by 304.
import { connect } from 'node:tls'
import { fail, job, Stretch } from './stretch.mjs'

const CONNECTIONS = 16
const HEAD_END = '\r\n\r\n'

const requests = []
// A server may admit only so many connections of one client.
for (let at = 0; at < job.urls.length; at += CONNECTIONS)
  requests.push(...(await Promise.all(job.urls.slice(at, at + CONNECTIONS).map(requestOf))))
const stretch = new Stretch()
let next = 0
for (let n = 0; n < CONNECTIONS; n++) open()

function open() {
  const socket = connect({ port: job.port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['http/1.1'] })
  let [received, sentMs] = ['', 0]
  const ask = () => {
    const { text } = requests[next++ % requests.length]
    sentMs = performance.now()
    socket.write(text)
  }
  socket.setEncoding('latin1').on('secureConnect', ask)
  socket.on('data', (chunk) => {
    received += chunk
    const length = lengthOf(received)
    if (length === undefined || received.length < length) return
    const status = received.slice(9, 12)
    if (status !== (job.ifNoneMatch ? '304' : '200')) fail(`HTTP status ${status} came`)
    received = ''
    stretch.answered(sentMs, performance.now())
    ask()
  })
  socket.on('error', (error) => fail(error.message)).on('close', () => fail('a connection was closed'))
}

/** Of the whole answer, once its head is there. */
function lengthOf(text) {
  const headLength = text.indexOf(HEAD_END)
  if (headLength < 0) return undefined
  const body = text.startsWith('HTTP/1.1 304') ? 0 : Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0)
  return headLength + HEAD_END.length + body
}

async function requestOf(url) {
  const { pathname, host } = new URL(url)
  const head = `GET ${pathname} HTTP/1.1\r\nhost: ${host}\r\n`
  if (!job.ifNoneMatch) return { text: head + '\r\n' }
  return { text: `${head}if-none-match: ${await etagOf(head)}${HEAD_END}` }
}

function etagOf(head) {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: job.port, host: '127.0.0.1', rejectUnauthorized: false }, () =>
      socket.write(`${head}connection: close\r\n\r\n`),
    )
    let received = ''
    socket.setEncoding('latin1').on('data', (chunk) => (received += chunk))
    socket.on('error', reject).on('close', () => resolve(/etag: (\S+)/i.exec(received)?.[1]))
  })
}
