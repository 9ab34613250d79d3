// Load by DoH, GET over HTTP/2 on a few connections with many streams: h2load where it is installed, else our own client.
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { join } from 'node:path'
import { cpuUs } from './cost.mjs'
import { isRight, NAMES, QUERIES } from './message.mjs'
import { find, folder, outputOf } from './processes.mjs'
import { fail, job, Latencies, report, Stretch } from './stretch.mjs'

const CONNECTIONS = 4
const STREAMS = 32
/** What h2load may need beside its time. */
const H2LOAD_MS_MORE = 10_000

const origin = `https://127.0.0.1:${job.port}`
// Id 0, so that HTTP caches may share the answer (RFC 8484 §4.1).
const paths = QUERIES.map((query) => `/dns-query?dns=${query.toString('base64url')}`)

// h2load looks at nothing but the status, so every name is asked for and looked at first.
const h2load = find('h2load')
try {
  await askAll()
  if (h2load) await runH2load()
  else askFor(new Stretch())
} catch (error) {
  fail(error.message)
}

async function runH2load() {
  const [uris, log] = [join(folder, 'uris'), join(folder, 'log')]
  writeFileSync(uris, paths.map((path) => `${origin}${path}\n`).join(''))
  const shape = ['-t', '1', '-c', String(CONNECTIONS), '-m', String(STREAMS), '-i', uris]
  await outputOf([h2load, ...shape, '-n', String(20 * NAMES)])
  const before = cpuUs(job.pid)
  const startedMs = performance.now()
  await outputOf(
    [h2load, ...shape, '-D', `${Math.ceil(job.seconds * 1000)}ms`, `--log-file=${log}`],
    job.seconds * 1000 + H2LOAD_MS_MORE,
  )
  const [seconds, us] = [(performance.now() - startedMs) / 1000, cpuUs(job.pid) - before]
  const latencies = new Latencies()
  for (const line of readFileSync(log, 'latin1').trimEnd().split('\n')) {
    const [, status, latencyUs] = line.split('\t')
    if (status !== '200') fail(`HTTP status ${status} came`)
    latencies.add(Number(latencyUs))
  }
  report(latencies, seconds, us)
}

async function askAll() {
  const session = newSession()
  for (let index = 0; index < NAMES; index += STREAMS)
    await Promise.all(paths.slice(index, index + STREAMS).map((_, nth) => get(session, index + nth)))
  session.close()
}

/** @param {Stretch} stretch */
function askFor(stretch) {
  let next = 0
  const again = async (session) => {
    for (;;) {
      const startedMs = performance.now()
      await get(session, next++ % NAMES)
      stretch.answered(startedMs, performance.now())
    }
  }
  for (let index = 0; index < CONNECTIONS; index++) {
    const session = newSession()
    for (let stream = 0; stream < STREAMS; stream++) void again(session)
  }
}

function newSession() {
  return connect(origin, { rejectUnauthorized: false }).on('error', (error) => fail(error.message))
}

/** Resolves when the answer to this name has come and is right. */
function get(session, index) {
  return new Promise((resolve) => {
    const stream = session.request({ ':path': paths[index], accept: 'application/dns-message' })
    const chunks = []
    stream.on('response', (headers) => {
      if (headers[':status'] !== 200) fail(`HTTP status ${headers[':status']} came`)
    })
    stream.on('data', (chunk) => chunks.push(chunk))
    stream.on('error', (error) => fail(error.message))
    stream.on('end', () => {
      const wire = Buffer.concat(chunks)
      if (wire.length < 2 || wire.readUInt16BE(0) !== 0 || !isRight(wire, QUERIES[index]))
        fail('a wrong answer came by DoH')
      resolve()
    })
  })
}
