// `npm run bench -- soak [--minutes M] [--rate N] [--small]`: does memory grow under an even load by every transport? New
// names all the time, so the cache is full and evicting after a while. Prints RSS every minute, and the growth.
import { setTimeout as sleep } from 'node:timers/promises'
import { cpuUs, rssMb } from './cost.mjs'
import { startResponder, startServer } from './dns.mjs'
import { freePorts, outputOf, stop } from './processes.mjs'
import { installedServers, KINDS_COUNT, makeCertificate } from './servers.mjs'

/** Shares of the rate. */
const LOADS = [
  { share: 0.35, job: { port: 'do53' } },
  { share: 0.2, job: { port: 'do53', miss: true } },
  { share: 0.25, job: { port: 'dot', tls: true } },
  { share: 0.1, job: { port: 'dot', tls: true, miss: true } },
  { share: 0.1, job: { port: 'doh', doh: true } },
]
const SAMPLE_MS = 5_000
/** What a generator may need beside its time. */
const LOAD_MS_MORE = 30_000

/** @param {{ minutes: number, rate: number, small: boolean }} options */
export async function soak({ minutes, rate, small }) {
  const [udp, dot, ...ports] = await freePorts(2 + 3 * KINDS_COUNT)
  const certificate = await makeCertificate()
  const responder = await startResponder([udp, dot], certificate)
  const [server] = (await installedServers({ udp, dot }, ports, certificate, { small })).servers
  const { pid } = await startServer(server, 'udp')
  console.log(
    `node ${process.version}, ${rate} queries/s for ${minutes} min by UDP, DoT and DoH, a third of them new names`,
  )

  const file = new URL('load-paced.mjs', import.meta.url).pathname
  const seconds = minutes * 60
  const loads = LOADS.map(async ({ share, job }) => {
    const told = { ...job, port: server.ports[job.port], pid, seconds, rate: Math.round(rate * share) }
    return JSON.parse(await outputOf([process.execPath, file, JSON.stringify(told)], seconds * 1000 + LOAD_MS_MORE))
  })
  let over = false
  const done = Promise.all(loads).finally(() => (over = true))
  done.catch(() => {}) // told below

  const [startedMs, cpuBefore] = [performance.now(), cpuUs(pid)]
  const samples = []
  while (!over) {
    await Promise.race([sleep(SAMPLE_MS), done])
    if (over) break
    samples.push(rssMb(pid))
    if (samples.length % Math.round(60_000 / SAMPLE_MS) === 0)
      console.log(
        `${String(Math.round((performance.now() - startedMs) / 60_000)).padStart(3)} min  ${samples.at(-1).toFixed(1)} MB`,
      )
  }
  const results = await done
  const [cpu, answers] = [cpuUs(pid) - cpuBefore, results.reduce((sum, result) => sum + result.answers, 0)]
  await stop(server.child)
  await stop(responder.child)
  const third = Math.floor(samples.length / 3)
  const [second, last] = [median(samples.slice(third, 2 * third)), median(samples.slice(2 * third))]
  console.log(
    `${answers} answers, ${(answers / seconds).toFixed(0)} a second, ${(cpu / answers).toFixed(1)} µs of CPU each`,
  )
  console.log(
    `p99 ${results.map(({ p99Us }) => `${(p99Us / 1000).toFixed(1)} ms`).join(', ')} (UDP hit, UDP miss, DoT hit, DoT miss, DoH)`,
  )
  console.log(`RSS, medians of the second and the last third: ${second.toFixed(1)} and ${last.toFixed(1)} MB`)
}

function median(values) {
  return values.toSorted((a, b) => a - b)[values.length >> 1]
}
