// The benchmarks: `npm run bench -- operator|soak`, and `npm run bench -- dns [--rounds N] [--seconds S] [--rows a,b] [--peers a,b] [--small] [--json FILE]`.
// Linux only. `--small` runs hearth with the memory flags of a small router.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { benchDns, ROWS } from './dns.mjs'
import { benchOperator } from './operator.mjs'
import { detailTable, ratioRows, ratioTable } from './report.mjs'
import { soak } from './soak.mjs'

const EXIT_FAILED = 1
const EXIT_USAGE = 2
const LATER = ['ca']
const USAGE = `usage: npm run bench -- soak [--minutes M] [--rate N] [--small]
       npm run bench -- operator [--orders N] [--store embedded,postgres] [--devices N] [--seconds S] [--rounds N] [--json FILE]
       npm run bench -- dns [--rounds N] [--seconds S] [--rows ROW,ROW] [--peers NAME,NAME] [--small] [--json FILE]
rows: ${ROWS.join(' ')}`

process.exit(await main())

async function main() {
  const input = argumentsOf(process.argv.slice(2))
  if (typeof input === 'string') {
    console.error(input)
    return EXIT_USAGE
  }
  if (input.minutes) {
    await soak(input)
    return 0
  }
  const progress = (text) => process.stderr.isTTY && process.stderr.write(`\r\x1b[K${text}`)
  if (input.stores) {
    const { rows, details } = await benchOperator({ ...input, progress })
    progress('')
    console.log(`node ${process.version}\n\n${ratioTable(rows)}\n\n${details}`)
    if (input.json) writeFileSync(input.json, `${JSON.stringify({ rows }, null, 2)}\n`)
    return 0
  }
  const results = await benchDns({ ...input, progress })
  progress('')
  const rows = ratioRows(results)
  console.log(`${results.about.join('\n')}\n\n${ratioTable(rows)}\n\n${detailTable(results)}`)
  for (const complaint of results.complaints) console.log(`NOT MEASURED  ${complaint}`)
  if (input.json) writeFileSync(input.json, `${JSON.stringify({ rows }, null, 2)}\n`)
  return rows.every(({ hearth }) => hearth !== null) ? 0 : EXIT_FAILED
}

/** What was asked for, or the sentence that says what is wrong with it. */
function argumentsOf(argv) {
  const [subject, ...rest] = argv
  if (LATER.includes(subject)) return `the benchmark of ${subject} comes with its issue; today there is: dns`
  if (subject === 'soak') return soakArgumentsOf(rest)
  if (subject === 'operator') return operatorArgumentsOf(rest)
  if (subject !== 'dns') return USAGE
  const options = {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '2.5' },
    rows: { type: 'string', default: ROWS.join(',') },
    peers: { type: 'string' },
    small: { type: 'boolean', default: false },
    json: { type: 'string' },
  }
  try {
    const { values } = parseArgs({ args: rest, options })
    const [rounds, seconds, rows] = [Number(values.rounds), Number(values.seconds), values.rows.split(',')]
    if (!Number.isInteger(rounds) || rounds < 1) return '--rounds: expected a whole number from 1'
    if (!(seconds > 0)) return '--seconds: expected a number above 0'
    const unknown = rows.find((row) => !ROWS.includes(row))
    if (unknown !== undefined) return `--rows: there is no row ${unknown}\n${USAGE}`
    return {
      rounds,
      seconds,
      rows,
      small: values.small,
      ...(values.peers === undefined ? {} : { peers: values.peers.split(',') }),
      ...(values.json ? { json: values.json } : {}),
    }
  } catch (error) {
    return `${error.message}\n${USAGE}`
  }
}

function operatorArgumentsOf(args) {
  const options = {
    orders: { type: 'string', default: '400' },
    store: { type: 'string', default: 'embedded,postgres' },
    devices: { type: 'string', default: '0' },
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'string' },
  }
  try {
    const { values } = parseArgs({ args, options })
    const [orders, devices, seconds, rounds] = ['orders', 'devices', 'seconds', 'rounds'].map((key) =>
      Number(values[key]),
    )
    const stores = values.store.split(',')
    if (!(orders >= 150) || !(devices >= 0) || !(seconds > 0) || !(rounds >= 1))
      return `--orders: at least 150\n${USAGE}`
    if (!stores.every((store) => ['embedded', 'postgres'].includes(store))) return USAGE
    return { orders, devices, seconds, rounds, stores, ...(values.json ? { json: values.json } : {}) }
  } catch (error) {
    return `${error.message}\n${USAGE}`
  }
}

function soakArgumentsOf(args) {
  const options = {
    minutes: { type: 'string', default: '20' },
    rate: { type: 'string', default: '2000' },
    small: { type: 'boolean', default: false },
  }
  try {
    const { values } = parseArgs({ args, options })
    const [minutes, rate] = [Number(values.minutes), Number(values.rate)]
    return minutes > 0 && rate >= 10 ? { minutes, rate, small: values.small } : USAGE
  } catch (error) {
    return `${error.message}\n${USAGE}`
  }
}
