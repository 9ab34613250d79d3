// `npm run bench -- dns`: queries answered from the cache, handshakes, and what a server costs before anyone asks.
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { rssMb } from './cost.mjs'
import { isRight, NAMES, QUERIES } from './message.mjs'
import { find, lastLines, outputOf, start, stop } from './processes.mjs'
import { installedServers, KINDS_COUNT } from './servers.mjs'

const SERVER_CORE = 0
const LOAD_CORE = 1
/** Time to settle before idle memory is read. */
const IDLE_MS = 2_000
const START_MS_MAX = 20_000
const ASK_AGAIN_MS = 5
/** What a generator may need beside its stretch. */
const LOAD_MS_MORE = 30_000

const MANY_OPEN = { connections: 8, window: 32 }

/** Which generator makes the load of a row, to which port, and what it is told. */
const LOADS = {
  'udp-hit': { generator: 'udp', port: 'do53' },
  'tcp-hit': { generator: 'stream', port: 'do53', ...MANY_OPEN },
  'dot-hit': { generator: 'stream', port: 'dot', tls: true, recordEach: true, ...MANY_OPEN },
  'dot-hit-lone': { generator: 'stream', port: 'dot', tls: true, connections: 32, window: 1 },
  'dot-hit-pipelined': { generator: 'stream', port: 'dot', tls: true, ...MANY_OPEN },
  'doh-hit': { generator: 'doh', port: 'doh' },
  'handshake-full': { generator: 'handshake', port: 'dot' },
  'handshake-resumed': { generator: 'handshake', port: 'dot', resumed: true },
}
/** Rows measured on a server that was just started, and their units. */
const STARTS = { 'rss-idle': 'MB', 'first-answer': 'ms' }

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
 * @param {{ rounds: number, seconds: number, rows: string[], progress: (text: string) => void }} options
 * @returns {Promise<Results>}
 */
export async function benchDns({ rounds, seconds, rows, progress }) {
  const pinned = await pinToLoadCore()
  const [upstream, ...ports] = await freePorts(1 + 3 * KINDS_COUNT)
  const responder = await startResponder(upstream)
  const { servers, leftOut } = await installedServers(upstream, ports)
  const about = [
    `runtime   node ${process.version}; ${servers.map(({ name, version }) => `${name} ${version}`).join('; ')}`,
    `cores     ${pinned ? `servers on core ${SERVER_CORE}, load and upstream on core ${LOAD_CORE}` : 'NOT PINNED: this needs taskset and two cores'}`,
    `input     ${NAMES} names with two addresses, query with OPT, answers in the cache of every server`,
    `rounds    ${rounds} of ${seconds} s per row and server, in turn; medians`,
    `DoH load  ${find('h2load') ? 'h2load' : 'our own HTTP/2 client (h2load is not installed)'}`,
    ...leftOut.map((reason) => `LEFT OUT  ${reason}`),
  ]
  const samples = new Map(rows.map((row) => [row, new Map(servers.map(({ name }) => [name, []]))]))
  const complaints = new Set()
  const complain = (row, { name }, error) => complaints.add(`${row} ${name}: ${error.message.trim()}`)
  const results = { about, complaints, names: servers.map(({ name }) => name), samples, unitOf }

  for (const { round, server } of inTurn(rounds, servers)) {
    if (!rows.some((row) => row in STARTS)) break
    progress(`start, round ${round}, ${server.name}`)
    try {
      for (const [row, figure] of Object.entries(await measureStart(server)))
        samples.get(row)?.get(server.name).push({ figure })
    } catch (error) {
      complain('start', server, error)
    }
  }

  const up = []
  for (const server of servers) {
    try {
      await startServer(server)
      await fillCache(server)
      up.push(server)
    } catch (error) {
      complain('start', server, error)
    }
  }
  for (const row of rows.filter((id) => id in LOADS)) {
    for (const { round, server } of inTurn(rounds, up)) {
      progress(`${row}, round ${round}, ${server.name}`)
      try {
        samples
          .get(row)
          .get(server.name)
          .push(await measureLoad(LOADS[row], server, seconds, responder))
      } catch (error) {
        complain(row, server, error)
      }
    }
  }
  await Promise.all([...up.map(({ child }) => child), responder.child].map(stop))
  return results
}

function unitOf(row) {
  return STARTS[row] ?? (LOADS[row].generator === 'handshake' ? 'CPU µs/handshake' : 'CPU µs/query')
}

/** The order rotates, so that no server always follows the same one. */
function* inTurn(rounds, servers) {
  for (let round = 0; round < rounds; round++)
    for (let nth = 0; nth < servers.length; nth++)
      yield { round: round + 1, server: servers[(round + nth) % servers.length] }
}

async function measureStart(server) {
  const beganMs = performance.now()
  const child = await startServer(server)
  const firstMs = performance.now() - beganMs
  await sleep(IDLE_MS)
  const idleMb = rssMb(child.pid)
  await stop(child)
  return { 'rss-idle': idleMb, 'first-answer': firstMs }
}

/** Starts it and waits for its first answer. */
async function startServer(server) {
  const log = `${server.name}.log`
  const child = start(server.command, { core: SERVER_CORE, log })
  const died = new Promise(
    (_, reject) => void child.once('exit', () => reject(new Error(`it ended by itself: ${lastLines(log)}`))),
  )
  await Promise.race([answerOf(server.ports.do53, QUERIES[0]), died])
  server.child = child
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
  // One per name is allowed: a server may keep the answers of yet another transport apart.
  if (misses > NAMES) throw new Error(`${misses} queries were not answered from the cache`)
  return {
    figure: measured.cpuUs / measured.answers,
    perSecond: measured.answers / measured.seconds,
    p50Us: measured.p50Us,
    p99Us: measured.p99Us,
  }
}

async function startResponder(port) {
  const file = new URL('responder.mjs', import.meta.url).pathname
  const child = start([process.execPath, file, String(port)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
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

async function freePorts(count) {
  const listeners = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(listeners.map((server) => new Promise((resolve) => void server.once('listening', resolve))))
  const ports = listeners.map((server) => server.address().port)
  await Promise.all(listeners.map((server) => new Promise((resolve) => void server.close(resolve))))
  return ports
}
