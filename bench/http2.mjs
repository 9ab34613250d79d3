// `npm run -s build && node bench/http2.mjs [rounds] [seconds]`: DoH hits on many streams, our HTTP/2 against that of Node.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { folder, freePorts, outputOf, start, stop } from './processes.mjs'

const [rounds = 3, seconds = 2] = process.argv.slice(2).map(Number)
const SERVER_CORE = 0
const START_MS = 1_500
/** What a generator may need beside its stretch. */
const LOAD_MS_MORE = 30_000
const HEARTH = new URL('../dist/hearth.mjs', import.meta.url).pathname
const LOAD = new URL('load-doh.mjs', import.meta.url).pathname
const RESPONDER = new URL('responder.mjs', import.meta.url).pathname

const [upstream, ...ports] = await freePorts(3)
const responder = start([process.execPath, RESPONDER, String(upstream)], {
  stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
})
await new Promise((resolve) => void responder.once('message', resolve))
const servers = ['own', 'node'].map((http2, index) => ({
  http2,
  port: ports[index],
  child: startHearth(http2, ports[index]),
}))
await sleep(START_MS)

const figures = { own: [], node: [] }
for (let round = 0; round < rounds; round++) {
  for (const { http2, port, child } of servers) {
    const job = JSON.stringify({ port, pid: child.pid, seconds })
    const measured = JSON.parse(await outputOf([process.execPath, LOAD, job], seconds * 1000 + LOAD_MS_MORE))
    figures[http2].push(measured.cpuUs / measured.answers)
  }
}
console.log(
  `node ${process.version}, ${rounds} rounds of ${seconds} s in turn, CPU µs per request of the whole server process`,
)
for (const [http2, all] of Object.entries(figures)) {
  const sorted = all.toSorted((a, b) => a - b)
  console.log(
    `${http2.padEnd(5)} median ${median(sorted).toFixed(2)}  lowest ${sorted[0].toFixed(2)}  highest ${sorted.at(-1).toFixed(2)}`,
  )
}
await Promise.all([responder, ...servers.map(({ child }) => child)].map(stop))
process.exit()

function median(sorted) {
  return sorted[Math.floor(sorted.length / 2)]
}

/** PROFILE=1 leaves a profile of each in the directory where this was started. */
function startHearth(http2, port) {
  const state = join(folder, http2)
  mkdirSync(state, { mode: 0o700 })
  writeFileSync(join(folder, `${http2}.key`), Buffer.alloc(32, 1).toString('base64url'), { mode: 0o600 })
  const file = join(folder, `${http2}.yaml`)
  writeFileSync(
    file,
    `state: ${state}
log: error
identity:
  name: router.bench.example.net
  acme-delegation:
    directory: https://127.0.0.1:1/directory
    eab: { kid: bench, key-file: ${http2}.key }
listen: { do53: [], dot: [], doh: ["127.0.0.1:${port}"], http2: ${http2} }
access: { allow: [127.0.0.0/8] }
upstreams: [ { url: "udp://127.0.0.1:${upstream}" } ]
`,
    { mode: 0o600 },
  )
  const profile = process.env.PROFILE ? ['--cpu-prof', `--cpu-prof-dir=${process.cwd()}`] : []
  return start([process.execPath, ...profile, HEARTH, 'run', '--config', file], {
    core: SERVER_CORE,
    log: `${http2}.log`,
  })
}
