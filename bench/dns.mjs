// `npm run bench -- dns`: queries answered from the cache, handshakes, and what a server costs before anyone asks.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import { rssMb } from './cost.mjs'
import { isRight, NAMES, newQuery, QUERIES } from './message.mjs'
import { find, freePorts, lastLines, outputOf, start, stop } from './processes.mjs'
import { installedServers, KINDS_COUNT, makeCertificate, SMALL_ENVIRONMENT, SMALL_FLAGS } from './servers.mjs'

const SERVER_CORE = 0
const LOAD_CORE = 1
/** Time to settle before idle memory is read. */
const IDLE_MS = 2_000
const START_MS_MAX = 20_000
const ASK_AGAIN_MS = 5
/** Of each row: a compiler that learns from what runs has then seen it. Servers run for weeks. */
const UNCOUNTED_ROUNDS = 1
/** What a generator may need beside its stretch. */
const LOAD_MS_MORE = 30_000
/** Share of answers that must have been asked upstream for a row of misses to be one. */
const MISSES_MIN = 0.95

const MANY_OPEN = { connections: 8, window: 32 }
const IDLE_CONNECTIONS = 1_000
const CACHED_ANSWERS = 100_000
/** Of an ordinary home in its busiest second, many times over. */
const OPEN_FILLS = 64

/** Which generator makes the load of a row, to which port, by which upstream, and what it is told. */
const LOADS = {
  'udp-hit': { generator: 'udp', port: 'do53' },
  'tcp-hit': { generator: 'stream', port: 'tcp', ...MANY_OPEN },
  'dot-hit': { generator: 'stream', port: 'dot', tls: true, recordEach: true, ...MANY_OPEN },
  'dot-hit-lone': { generator: 'stream', port: 'dot', tls: true, connections: 32, window: 1 },
  'dot-hit-pipelined': { generator: 'stream', port: 'dot', tls: true, ...MANY_OPEN },
  'doh-hit': { generator: 'doh', port: 'doh' },
  'miss-udp': { generator: 'udp', port: 'do53', miss: true },
  'miss-dot': { generator: 'udp', port: 'do53', miss: true, upstream: 'dot' },
  'handshake-full': { generator: 'handshake', port: 'dot' },
  'handshake-resumed': { generator: 'handshake', port: 'dot', resumed: true },
  'handshake-pq': { generator: 'handshake', port: 'dot', postQuantum: true },
  'p99-half-udp': { generator: 'paced', port: 'do53', figure: 'p99Us', halfOf: 'udp-hit' },
  'p99-half-dot': { generator: 'paced', port: 'dot', tls: true, figure: 'p99Us', halfOf: 'dot-hit-lone' },
}
/** Rows measured on a server that was just started, their units, and what makes the server do it. */
const STARTS = {
  'first-answer': { unit: 'ms' },
  'rss-idle': { unit: 'MB' },
  'rss-1000-dot': { unit: 'MB', port: 'dot', prepare: (server) => idleConnections(server.ports.dot) },
  'rss-100k-cache': { unit: 'MB', prepare: (server) => manyAnswers(server.ports.do53) },
  'rss-full': {
    unit: 'MB',
    port: 'dot',
    prepare: async (server) => {
      await manyAnswers(server.ports.do53)
      return idleConnections(server.ports.dot)
    },
  },
}

export const ROWS = [...Object.keys(LOADS), ...Object.keys(STARTS)]

/**
 * @typedef {{ figure: number, perSecond?: number, p50Us?: number, p99Us?: number }} Sample
 * @typedef {object} Results
 * @property {string[]} about what ran, in lines
 * @property {Set<string>} complaints what could not be measured, and why
 * @property {string[]} names of the servers, ours first
 * @property {Map<string, Map<string, Sample[]>>} samples by row, then by server
 * @property {(row: string) => string} unitOf
 */

/**
 * @param {{ rounds: number, seconds: number, rows: string[], peers?: string[], small: boolean, progress: (text: string) => void }} options
 * @returns {Promise<Results>}
 */
export async function benchDns({ rounds, seconds, rows, peers, small, progress }) {
  const pinned = await pinToLoadCore()
  const [udp, dot, ...ports] = await freePorts(2 + 3 * KINDS_COUNT)
  const certificate = await makeCertificate()
  const responder = await startResponder([udp, dot], certificate)
  const installed = await installedServers({ udp, dot }, ports, certificate, { small })
  const { leftOut } = installed
  const servers = installed.servers.filter(({ name }) => name === 'hearth' || !peers || peers.includes(name))
  const about = [
    `runtime   node ${process.version}; ${servers.map(({ name, version }) => `${name} ${version}`).join('; ')}`,
    `cores     ${pinned ? `servers on core ${SERVER_CORE}, load and upstream on core ${LOAD_CORE}` : 'NOT PINNED: this needs taskset and two cores'}`,
    `input     ${NAMES} names with two addresses, query with OPT, answers in the cache of every server; new names for misses`,
    `rounds    ${rounds} of ${seconds} s per row and server, in turn, after one that does not count; medians`,
    `DoH load  ${find('h2load') ? 'h2load' : 'our own HTTP/2 client (h2load is not installed)'}`,
    `TLS       handshakes: TLS 1.3, X25519 with all; X25519MLKEM768 in handshake-pq, for those that know it`,
    ...(small ? [`flags     hearth runs with ${SMALL_FLAGS.join(' ')} and ${entriesText(SMALL_ENVIRONMENT)}`] : []),
    ...leftOut.map((reason) => `LEFT OUT  ${reason}`),
  ]
  const samples = new Map(rows.map((row) => [row, new Map(servers.map(({ name }) => [name, []]))]))
  const complaints = new Set()
  const complain = (row, { name }, error) => complaints.add(`${row} ${name}: ${error.message.trim()}`)
  const results = { about, complaints, names: servers.map(({ name }) => name), samples, unitOf }

  for (const row of rows.filter((id) => id in STARTS)) {
    for (const { round, server } of inTurn(rounds, servers)) {
      if (STARTS[row].port && !server.ports[STARTS[row].port]) continue
      progress(`${row}, round ${round}, ${server.name}`)
      try {
        samples
          .get(row)
          .get(server.name)
          .push({ figure: await measureStart(row, server) })
      } catch (error) {
        complain(row, server, error)
        if (server.child) await stop(server.child)
      }
    }
  }

  for (const upstream of ['udp', 'dot']) {
    const wanted = rows.filter((id) => id in LOADS && (LOADS[id].upstream ?? 'udp') === upstream)
    if (wanted.length === 0) continue
    const up = []
    for (const server of servers.filter((one) => one.commandFor(upstream))) {
      try {
        await startServer(server, upstream)
        await fillCache(server)
        up.push(server)
      } catch (error) {
        complain('start', server, error)
      }
    }
    for (const row of wanted) {
      const load = LOADS[row]
      const able = up.filter((server) => server.ports[load.port])
      const rate = load.halfOf
        ? { rate: Math.round((await measureLoad(LOADS[load.halfOf], up[0], 1, responder)).perSecond / 2) }
        : {}
      for (const { round, server } of inTurn(rounds + UNCOUNTED_ROUNDS, able)) {
        progress(`${row}, round ${round}, ${server.name}`)
        try {
          const sample = await measureLoad({ ...load, ...rate }, server, seconds, responder)
          if (round > UNCOUNTED_ROUNDS) samples.get(row).get(server.name).push(sample)
        } catch (error) {
          complain(row, server, error)
        }
      }
    }
    await Promise.all(up.map(({ child }) => stop(child)))
  }
  await stop(responder.child)
  return results
}

function entriesText(environment) {
  return Object.entries(environment)
    .map(([name, value]) => `${name}=${value}`)
    .join(' ')
}

function unitOf(row) {
  if (row in STARTS) return STARTS[row].unit
  if (LOADS[row].figure) return 'µs'
  return LOADS[row].generator === 'handshake' ? 'CPU µs/handshake' : 'CPU µs/query'
}

/** The order rotates, so that no server always follows the same one. */
function* inTurn(rounds, servers) {
  for (let round = 0; round < rounds; round++)
    for (let nth = 0; nth < servers.length; nth++)
      yield { round: round + 1, server: servers[(round + nth) % servers.length] }
}

async function measureStart(row, server) {
  const beganMs = performance.now()
  const child = await startServer(server, 'udp')
  const firstMs = performance.now() - beganMs
  const release = row === 'first-answer' ? undefined : await STARTS[row].prepare?.(server)
  if (row !== 'first-answer') await sleep(IDLE_MS)
  const megabytes = rssMb(child.pid)
  release?.()
  await stop(child)
  return row === 'first-answer' ? firstMs : megabytes
}

/** Opens them one after the other, each with an answer; what comes back closes them. */
async function idleConnections(port) {
  const sockets = []
  for (let index = 0; index < IDLE_CONNECTIONS; index++) {
    const socket = connectTls({ port, host: '127.0.0.1', ALPNProtocols: ['dot'], rejectUnauthorized: false })
    let closed = false
    socket.on('error', () => {}).on('close', () => (closed = true))
    sockets.push(() => socket.destroy())
    await Promise.race([once(socket, 'secureConnect'), sleep(START_MS_MAX, undefined, { ref: false })])
    socket.write(Buffer.concat([Buffer.of(0, QUERIES[0].length), QUERIES[0]]))
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    if (closed) throw new Error(`it closed connection ${index + 1} of ${IDLE_CONNECTIONS}`)
  }
  return () => sockets.forEach((end) => end())
}

/** Asks for that many names by UDP, a few at a time; each is asked again until it is answered. */
function manyAnswers(port) {
  return new Promise((resolve, reject) => {
    const socket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 })
    const open = new Map()
    let next = 0
    const more = () => {
      while (open.size < OPEN_FILLS && next < CACHED_ANSWERS) {
        const id = next++ & 0xffff
        const query = newQuery('fil', next)
        query.writeUInt16BE(id, 0)
        open.set(id, query)
        socket.send(query)
      }
      if (open.size > 0) return
      clearInterval(again)
      clearTimeout(tooLate)
      socket.close()
      resolve()
    }
    const again = setInterval(() => open.forEach((query) => socket.send(query)), 300)
    const tooLate = setTimeout(() => reject(new Error('the cache could not be filled')), 6 * START_MS_MAX)
    socket.on('error', reject).on('message', (wire) => {
      const query = open.get(wire.readUInt16BE(0))
      if (!query || !isRight(wire, query)) return
      open.delete(wire.readUInt16BE(0))
      more()
    })
    socket.connect(port, '127.0.0.1', more)
  })
}

/** Starts it and waits for its first answer. */
export async function startServer(server, upstream) {
  const log = `${server.name}.log`
  const child = start(server.commandFor(upstream), { core: SERVER_CORE, log, environment: server.environment })
  server.child = child
  const died = new Promise(
    (_, reject) => void child.once('exit', () => reject(new Error(`it ended by itself: ${lastLines(log)}`))),
  )
  await Promise.race([answerOf(server.ports.do53, QUERIES[0]), died])
  return child
}

/** Asks by UDP, again and again, until the right answer comes. */
function answerOf(port, query) {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4')
    const ask = () => socket.send(query, port, '127.0.0.1')
    const again = setInterval(ask, ASK_AGAIN_MS)
    const end = (settle, value) => {
      clearInterval(again)
      clearTimeout(tooLate)
      socket.close()
      settle(value)
    }
    const tooLate = setTimeout(() => end(reject, new Error('no answer came by UDP')), START_MS_MAX)
    socket.on('error', () => {})
    socket.on('message', (wire) => isRight(wire, query) && end(resolve))
    ask()
  })
}

/** Each name once by UDP and once by TCP: dnsdist keeps their answers apart. */
async function fillCache({ ports }) {
  for (const query of QUERIES) await answerOf(ports.do53, query)
  if (!ports.tcp) return
  const connection = connect(ports.do53, '127.0.0.1')
  connection.setTimeout(START_MS_MAX, () => connection.destroy(new Error('no answer came by TCP')))
  try {
    for (const query of QUERIES) {
      connection.write(Buffer.concat([Buffer.of(0, query.length), query]))
      await once(connection, 'data')
    }
  } finally {
    connection.destroy()
  }
}

/** @returns {Promise<Sample>} */
async function measureLoad({ generator, port, ...shape }, server, seconds, responder) {
  const job = { ...shape, port: server.ports[port], pid: server.child.pid, seconds }
  const askedBefore = await responder.asked()
  const file = new URL(`load-${generator}.mjs`, import.meta.url).pathname
  const measured = JSON.parse(
    await outputOf([process.execPath, file, JSON.stringify(job)], job.seconds * 1000 + LOAD_MS_MORE),
  )
  const misses = (await responder.asked()) - askedBefore
  if (shape.miss && misses < MISSES_MIN * measured.answers) throw new Error('it answered new names from its cache')
  // One per name is allowed: a server may keep the answers of yet another transport apart.
  if (!shape.miss && misses > NAMES) throw new Error(`${misses} queries were not answered from the cache`)
  return {
    figure: job.figure ? measured[job.figure] : measured.cpuUs / measured.answers,
    perSecond: measured.answers / measured.seconds,
    p50Us: measured.p50Us,
    p99Us: measured.p99Us,
  }
}

export async function startResponder(ports, certificate) {
  const file = new URL('responder.mjs', import.meta.url).pathname
  const { key, cert } = certificate ?? {}
  const child = start([process.execPath, file, ...ports.map(String), ...(certificate ? [key, cert] : [])], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const said = () => new Promise((resolve) => void child.once('message', resolve))
  await said()
  const asked = () => {
    const count = said()
    child.send('asked?')
    return count
  }
  return { child, asked }
}

/** Generators and the upstream inherit the core of this process. */
async function pinToLoadCore() {
  const taskset = find('taskset')
  if (!taskset) return false
  return outputOf([taskset, '-a', '-cp', String(LOAD_CORE), String(process.pid)]).then(
    () => true,
    () => false,
  )
}
