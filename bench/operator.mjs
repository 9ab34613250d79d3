// `npm run bench -- operator`: what an order and a published certificate cost, beside Pebble; and with many devices.
// Servers on core 0, load on core 1.
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuUs as cpuOf } from './cost.mjs'
import { find, folder, freePorts, lastLines, outputOf, start, stop } from './processes.mjs'
import { median, table } from './report.mjs'

const SERVER_CORE = 0
const LOAD_CORE = 1
const OPERATOR = new URL('../dist/hearth-operator.mjs', import.meta.url).pathname
const LOAD_ORDERS = new URL('load-orders.mjs', import.meta.url).pathname
const LOAD_PUBLICATIONS = new URL('load-publications.mjs', import.meta.url).pathname
const PROGRAMS = '/usr/lib/postgresql'
const ZONE = 'cpe.bench.example'
const START_MS_MAX = 60_000
const POLL_MS = 200
/** Routers that order at the same time. */
const CLIENTS = 16
/** One call of `device add` takes no more. */
const DEVICES_AT_ONCE = 1000
const ORDER_MS_MAX = 1_000
const LOAD_MS_MORE = 60_000
const INSERT_MS_MAX = 600_000
/** Certificates that are asked for in turn. */
const PUBLICATIONS = 500

/**
 * @param {{ orders: number, stores: string[], devices: number, seconds: number, rounds: number, progress: (text: string) => void }} options
 */
export async function benchOperator(options) {
  const rows = []
  const details = []
  const measured = (server, figures) => details.push([server, ...figures])
  const peer = find('pebble') ? await pebbleOrders(options) : undefined
  if (peer) measured('pebble', orderFigures(peer))
  for (const store of options.stores) {
    const postgres = store === 'postgres' ? await startPostgres() : undefined
    const operator = await startOperator(store, postgres?.url)
    const pids = { node: operator.child.pid, ...(postgres ? { postgres: postgres.child.pid } : {}) }
    options.progress(`${store}: orders`)
    const devices = await devicesOf(operator, options.orders)
    const before = Number(await postgres?.ask(STATEMENTS))
    const empty = await orders('hearth', operator.directory, pids, devices, options)
    const statements = (Number(await postgres?.ask(STATEMENTS)) - before) / options.orders
    measured(`${store}${postgres ? `, ${statements.toFixed(0)} statements per order` : ''}`, orderFigures(empty))
    const cost = sum(empty.cpuMs)
    rows.push(row(`order-cpu-${store}`, cost, peer && sum(peer.cpuMs), 'pebble', 'CPU ms'))
    rows.push(row(`order-rate-${store}`, 1000 / cost, peer && 1000 / sum(peer.cpuMs), 'pebble', 'per s and core'))
    for (const [id, ifNoneMatch] of [
      ['publication-200', false],
      ['publication-304', true],
    ]) {
      options.progress(`${store}: ${id}`)
      const taken = []
      for (let round = 0; round < options.rounds; round++)
        taken.push(await publications(operator, pids, empty.certificates, ifNoneMatch, options.seconds))
      const cpuUs = median(taken, 'cpuUs')
      rows.push(row(`${id}-${store}`, 1e6 / cpuUs, null, null, 'per s and core'))
      measured(`${store} ${id}`, [
        `${cpuUs.toFixed(1)} µs + ${median(taken, 'postgresUs').toFixed(1)} µs`,
        '-',
        Math.round(median(taken, 'perSecond')),
        '-',
        '-',
      ])
    }
    if (postgres && options.devices > 0) {
      options.progress(`${store}: loading ${options.devices} devices`)
      await loadDevices(postgres, options.devices)
      options.progress(`${store}: orders with ${options.devices} devices`)
      const full = await orders('hearth', operator.directory, pids, await devicesOf(operator, options.orders), options)
      measured(`${store}, ${options.devices} devices`, orderFigures(full))
      // In the same place again, because figures of this machine drift.
      rows.push(row('order-p99-loaded', full.p99Ms, empty.p99Ms, 'empty store', 'ms'))
      details.push(['tables', await postgres.ask(SIZES), '', '', '', ''])
    }
    await stop(operator.child)
    if (postgres) await stop(postgres.child)
  }
  const head = ['server', 'CPU ms per order (node + postgres)', 'together', 'per second', 'p50 ms', 'p99 ms']
  return { rows, details: table(head, details) }
}

const SIZES = `select string_agg(relname || ' ' || pg_size_pretty(pg_total_relation_size(oid)), ', ')
  from pg_class where relkind = 'r' and relname like 'hearth%' and pg_total_relation_size(oid) > 1000000`

/** Each is a transaction of its own. */
const STATEMENTS = 'select xact_commit from pg_stat_database where datname = current_database()'

function orderFigures({ cpuMs, perSecond, p50Ms, p99Ms }) {
  const parts = Object.values(cpuMs).map((ms) => ms.toFixed(2))
  return [parts.join(' + '), sum(cpuMs).toFixed(2), perSecond.toFixed(1), p50Ms.toFixed(0), p99Ms.toFixed(0)]
}

function row(id, hearth, best, peer, unit) {
  const rounded = (value) => (value === null || value === undefined ? null : Number(value.toPrecision(3)))
  return {
    row: id,
    hearth: rounded(hearth),
    best: rounded(best),
    peer: best ? peer : null,
    ratio: best ? rounded(hearth / best) : null,
    unit,
  }
}

function sum(parts) {
  return Object.values(parts).reduce((total, part) => total + part, 0)
}

async function orders(kind, directory, pids, names, { orders: count }) {
  const job = { kind, directory, pids, names, clients: CLIENTS }
  return load(LOAD_ORDERS, job, count * ORDER_MS_MAX + LOAD_MS_MORE)
}

async function publications({ port }, { node, postgres }, urls, ifNoneMatch, seconds) {
  const job = { port, pid: node, seconds, urls: urls.slice(0, PUBLICATIONS), ifNoneMatch }
  const before = postgres ? cpuOf(postgres) : 0
  const { answers, cpuUs, seconds: took } = await load(LOAD_PUBLICATIONS, job, seconds * 1000 + LOAD_MS_MORE)
  // The warm-up of the generator is in it, so it is a little too high.
  const postgresUs = postgres ? (cpuOf(postgres) - before) / answers : 0
  return { cpuUs: cpuUs / answers, postgresUs, perSecond: answers / took }
}

/** Through a file, because a thousand devices are too long for a command line. */
async function load(program, job, msMax) {
  const file = join(folder, 'job.json')
  writeFileSync(file, JSON.stringify(job))
  const node = [process.execPath, program, `@${file}`]
  return JSON.parse(await outputOf(['taskset', '-c', String(LOAD_CORE), ...node], msMax))
}

async function pebbleOrders(options) {
  options.progress('pebble: orders')
  const [port, managementPort] = await freePorts(2)
  const [key, certificate] = [join(folder, 'pebble.key'), join(folder, 'pebble.pem')]
  const names = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256']
  await outputOf(['openssl', 'req', '-x509', ...curve, '-nodes', '-keyout', key, '-out', certificate, ...names])
  const file = join(folder, 'pebble.json')
  const pebble = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${managementPort}`,
    certificate,
    privateKey: key,
    httpPort: 5002,
    tlsPort: 5001,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
  }
  writeFileSync(file, JSON.stringify({ pebble }))
  const environment = { PEBBLE_VA_ALWAYS_VALID: '1', PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '0' }
  const child = start([find('pebble'), '-config', file], { core: SERVER_CORE, log: 'pebble.log', environment })
  await untilOpen(port, child, 'pebble.log')
  const list = Array.from({ length: options.orders }, (_, n) => ({ name: `cpe-${n}.${ZONE}` }))
  const measured = await orders('pebble', `https://127.0.0.1:${port}/dir`, { pebble: child.pid }, list, options)
  await stop(child)
  return measured
}

async function startOperator(store, url) {
  const [port] = await freePorts(1)
  const state = join(folder, `operator-${store}`)
  mkdirSync(state, { mode: 0o700 })
  const settings = join(folder, `${store}.yaml`)
  writeFileSync(
    settings,
    `state: ${state}
log: error
store: "${url ?? 'pglite:'}"
listen: { api: "127.0.0.1:${port}" }
base-url: https://127.0.0.1:${port}
zone: { name: ${ZONE} }
authorities: [ { name: internal, kind: internal } ]
`,
  )
  // PROFILE=1 leaves a profile in the directory where this was started.
  const profile = process.env.PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.cwd()}`] : []
  const command = [process.execPath, ...profile, OPERATOR, 'run', '--config', settings]
  const child = start(command, { core: SERVER_CORE, log: `${store}.log` })
  await untilOpen(port, child, `${store}.log`)
  return { child, port, settings, directory: `https://127.0.0.1:${port}/directory` }
}

async function devicesOf({ settings }, count) {
  const devices = []
  for (let left = count; left > 0; left -= DEVICES_AT_ONCE) {
    const words = ['device', 'add', '--count', String(Math.min(left, DEVICES_AT_ONCE)), '--config', settings, '--json']
    devices.push(...JSON.parse(await outputOf([process.execPath, OPERATOR, ...words], INSERT_MS_MAX)))
  }
  return devices.map(({ name, eab }) => ({ name, eab }))
}

/** Of a PostgreSQL with its defaults, in a directory of its own. It refuses to run as root, so it then runs as its user. */
async function startPostgres() {
  const programs = join(PROGRAMS, readdirSync(PROGRAMS).sort().at(-1), 'bin')
  const home = join(folder, 'postgres')
  const isRoot = process.getuid() === 0
  const asUser = isRoot ? ['setpriv', '--reuid=postgres', '--regid=postgres', '--clear-groups'] : []
  chmodSync(folder, 0o711)
  mkdirSync(home, { mode: 0o700 })
  if (isRoot) execFileSync('chown', ['postgres:postgres', home])
  const [port] = await freePorts(1)
  const data = join(home, 'data')
  await outputOf([...asUser, join(programs, 'initdb'), '-D', data, '-U', 'hearth', '-A', 'trust', '-E', 'UTF8'])
  const address = ['-k', home, '-p', String(port), '-c', 'listen_addresses=127.0.0.1']
  const child = start([...asUser, join(programs, 'postgres'), '-D', data, ...address], {
    core: SERVER_CORE,
    log: 'postgres.log',
  })
  await untilOpen(port, child, 'postgres.log')
  const url = `postgres://hearth@127.0.0.1:${port}/postgres`
  const ask = async (sql) => (await outputOf([join(programs, 'psql'), '-tAc', sql, url], INSERT_MS_MAX)).trim()
  return { child, url, ask }
}

/** Enrolled devices of others, each with its account. */
async function loadDevices({ ask }, count) {
  await ask(`insert into hearth_row (kind, id, version, row)
    select 'device', 'cpe-' || left(md5(n::text), 12) || n || '.${ZONE}', nextval('hearth_version'), jsonb_build_object(
      'eabKey', md5(n::text) || left(md5('k' || n), 11), 'createdMs', 1700000000000 + n, 'account', left(md5('a' || n), 22))
    from generate_series(1, ${count}) n`)
  await ask('analyze hearth_row_device')
  await ask('checkpoint')
}

async function untilOpen(port, child, log) {
  const { connect } = await import('node:net')
  for (let waitedMs = 0; waitedMs < START_MS_MAX && child.exitCode === null; waitedMs += POLL_MS) {
    const isOpen = await new Promise((answer) => {
      const socket = connect(port, '127.0.0.1', () => answer(socket.destroy() && true)).on('error', () => answer(false))
    })
    if (isOpen) return
    await sleep(POLL_MS)
  }
  throw new Error(`a server did not start: ${lastLines(log)}`)
}
