import {
  type Command,
  type CommandOption,
  configArguments,
  EXIT,
  type Input,
  JSON_OPTION,
  SET_OPTION,
  show,
} from '../../core/command.ts'
import { configOption } from '../../core/daemon-verbs.ts'
import { Fault } from '../../core/fault.ts'
import { Refusal, readDuration } from '../../core/units.ts'
import { loadOperatorConfig } from '../config.ts'
import { type Fleet, instancesFor } from '../plan/fleet.ts'
import { forecast } from '../plan/forecast.ts'
import { forecastTable } from '../plan/table.ts'

/** Typed arrays of this many: half a gigabyte. */
const DEVICES_MAX = 20_000_000
const DAYS_MAX = 3660
const LIFETIMES = ['1h', '90d'] as const
const ISSUANCE = '5s'
/** An issuing CA of our own at its quickest; and what the service gives any CA (`ISSUE_MS_MAX`). */
const ISSUANCES = ['10ms', '4m'] as const
const INSTANCES_MAX = 1000
const OUTAGES: readonly string[] = ['1h', '6h', '72h']
const OUTAGE_LENGTHS = ['0s', '90d'] as const
const OUTAGES_MAX = 8
const CONFIG_FILE = 'hearth-operator.yaml'

const repeated = (value: string, help: string): CommandOption => ({ type: 'string', multiple: true, value, help })

/** `plan`: what a fleet asks of its CAs, and what becomes of it when they are out. Needs no running service. */
export const PLAN_COMMAND: Command = {
  usage: '--devices N --lifetime D [--config FILE | --authority NAME:ORDERS...] [OPTION...]',
  summary: 'simulate a fleet: orders, budgets, outages',
  options: {
    devices: { type: 'string', value: 'N', help: 'routers in the fleet' },
    lifetime: { type: 'string', value: 'D', help: 'lifetime they ask for, such as 7d' },
    days: { type: 'string', value: 'N', help: 'days to simulate (default 365)' },
    config: configOption(CONFIG_FILE),
    set: SET_OPTION,
    authority: repeated(
      'NAME:ORDERS[:CONCURRENT]',
      'instead of a file: an authority, its orders per 3 h and at once; 0: no limit',
    ),
    issuance: {
      type: 'string',
      value: 'D',
      help: `how long a CA takes for one certificate, dns-01 included (default ${ISSUANCE})`,
    },
    instances: { type: 'string', value: 'N', help: 'instances that work (default: as many as the fleet needs)' },
    outage: repeated('D', `outage of the first authority; may be repeated (default ${OUTAGES.join(', ')})`),
    json: JSON_OPTION,
  },
  async run(input) {
    const days = whole(input, 'days', DAYS_MAX, 365)
    const outages = (input.values.outage as readonly string[] | undefined) ?? OUTAGES
    if (outages.length > OUTAGES_MAX) throw new Fault('USAGE', `--outage: at most ${OUTAGES_MAX} of them`)
    const outagesMs = outages.map((text) => duration('outage', text, OUTAGE_LENGTHS))
    const fleet = await fleetOf(input)
    const result = forecast(fleet, { days, outagesMs })
    show(input, result, forecastTable(fleet, days, result))
    return EXIT.OK
  },
}

async function fleetOf(input: Input): Promise<Fleet> {
  const { authority: given, lifetime, issuance, config } = input.values
  const asked = {
    devices: whole(input, 'devices', DEVICES_MAX),
    lifetimeMs: duration('lifetime', String(lifetime ?? ''), LIFETIMES),
    issuanceMs: duration('issuance', String(issuance ?? ISSUANCE), ISSUANCES),
  }
  const size = { ...asked, instances: whole(input, 'instances', INSTANCES_MAX, instancesFor(asked)) }
  if (Array.isArray(given)) {
    if (config !== undefined) throw new Fault('USAGE', 'give --config or --authority, not both')
    const authorities = given.flatMap((list: string) => list.split(',')).map(authorityOf)
    return { ...size, authorities, spread: 0.2, urgentShare: 0.2, ordersPerMinute: 3000 }
  }
  const { file, overrides } = configArguments(input, CONFIG_FILE)
  const { authorities, renewal } = await loadOperatorConfig(file, overrides)
  return { ...size, ...renewal, authorities: authorities.map(({ name, budget }) => ({ name, limits: budget })) }
}

function authorityOf(text: string): Fleet['authorities'][number] {
  const [, name, orders, atOnce = '0'] = /^([a-z0-9-]{1,32}):(\d{1,9})(?::(\d{1,4}))?$/.exec(text) ?? []
  if (name === undefined)
    throw new Fault(
      'USAGE',
      `--authority ${text}: expected NAME:ORDERS or NAME:ORDERS:CONCURRENT, such as primary:300:20`,
    )
  const [ordersPer3h, concurrent] = [Number(orders), Number(atOnce)]
  return { name, limits: { ...(ordersPer3h > 0 ? { ordersPer3h } : {}), ...(concurrent > 0 ? { concurrent } : {}) } }
}

function whole({ values }: Input, option: string, max: number, preset?: number): number {
  const number = values[option] === undefined ? preset : Number(values[option])
  if (number !== undefined && Number.isInteger(number) && number >= 1 && number <= max) return number
  throw new Fault('USAGE', `--${option}: expected a whole number from 1 to ${max}`)
}

function duration(option: string, text: string, [min, max]: readonly [string, string]): number {
  try {
    const ms = readDuration(text)
    if (ms >= readDuration(min) && ms <= readDuration(max)) return ms
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
  }
  throw new Fault(
    'USAGE',
    `--${option}: expected a duration such as 7d, from ${min} to ${max}, got ${JSON.stringify(text)}`,
  )
}
