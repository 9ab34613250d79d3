// Load by whole orders: a new account and its first certificate each time. `kind: hearth` is a delegation order with STAR
// (RFC 9115, RFC 8739), `kind: pebble` a plain one (RFC 8555). Prints one JSON line.
import { writeSync } from 'node:fs'
import { AcmeClient, csrFor } from './acme-client.mjs'
import { cpuUs } from './cost.mjs'
import { job } from './stretch.mjs'

const RENEWS_FOR_MS = 30 * 86_400_000
const LIFETIME_S = 7 * 86_400
/** First orders load code and fill pools; they do not count. */
const WARM_UP = 100

/** `job.pids`: what the cost is read of, by name. */
const directory = await directoryOf(job.directory)
const times = []
const certificates = []

await run(job.names.slice(0, WARM_UP))
times.length = 0
const before = costs()
const startedMs = performance.now()
await run(job.names.slice(WARM_UP))
const seconds = (performance.now() - startedMs) / 1000
const after = costs()
times.sort((a, b) => a - b)
const orders = times.length
writeSync(
  1,
  JSON.stringify({
    orders,
    perSecond: orders / seconds,
    p50Ms: times[Math.floor(orders / 2)],
    p99Ms: times[Math.min(orders - 1, Math.floor(orders * 0.99))],
    cpuMs: Object.fromEntries(Object.keys(before).map((name) => [name, (after[name] - before[name]) / orders / 1000])),
    certificates,
  }),
)
process.exit()

async function run(names) {
  const left = [...names]
  await Promise.all(
    Array.from({ length: job.clients }, async () => {
      for (let next = left.pop(); next; next = left.pop()) {
        const client = new AcmeClient(directory)
        const startMs = performance.now()
        const url = await (job.kind === 'hearth' ? delegated(client, next) : plain(client, next))
        times.push(performance.now() - startMs)
        if (url) certificates.push(url)
        client.close()
      }
    }),
  )
}

async function delegated(client, { name, eab }) {
  const account = await client.newAccount(eab)
  const { delegations } = (await client.post(account.delegations)).json
  await client.post(delegations[0])
  const placed = await client.post(directory.newOrder, {
    identifiers: [{ type: 'dns', value: name }],
    delegation: delegations[0],
    'auto-renewal': {
      'end-date': new Date(Date.now() + RENEWS_FOR_MS).toISOString().replace(/\.\d+Z/, 'Z'),
      lifetime: LIFETIME_S,
      'allow-certificate-get': true,
    },
  })
  await client.post(placed.json.finalize, { csr: csrFor(name) })
  const order = await client.poll(placed.headers.location, ({ status }) => status === 'valid')
  await client.get(order['star-certificate'])
  return order['star-certificate']
}

async function plain(client, { name }) {
  await client.newAccount()
  const placed = await client.post(directory.newOrder, { identifiers: [{ type: 'dns', value: name }] })
  const [authorization] = placed.json.authorizations
  const { challenges } = (await client.post(authorization)).json
  await client.post(challenges.find(({ type }) => type === 'dns-01').url, {})
  await client.poll(authorization, ({ status }) => status === 'valid')
  await client.post(placed.json.finalize, { csr: csrFor(name) })
  const order = await client.poll(placed.headers.location, ({ status }) => status === 'valid')
  await client.post(order.certificate)
}

function costs() {
  return Object.fromEntries(Object.entries(job.pids).map(([name, pid]) => [name, cpuUs(pid)]))
}

async function directoryOf(url) {
  const client = new AcmeClient({})
  const { json } = await client.get(url)
  client.close()
  return json
}
