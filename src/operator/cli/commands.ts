import { join } from 'node:path'
import { systemClock } from '../../core/clock.ts'
import { type Command, type CommandOption, configArguments, EXIT, type Input, SET_OPTION } from '../../core/command.ts'
import { configOption, daemonVerbs } from '../../core/daemon-verbs.ts'
import { Fault } from '../../core/fault.ts'
import { askOperation } from '../../net/operations.ts'
import { lockDirectory } from '../../store/file.ts'
import { openStore } from '../../store/postgres.ts'
import {
  createOperations,
  type DeviceSummary,
  type OperationName,
  type Operations,
  type OperatorStatus,
} from '../admin/operations.ts'
import { loadOperatorConfig, type OperatorConfig } from '../config.ts'
import type { DeviceRow, NewDevice } from '../delegation/devices.ts'
import { openRegistry, runOperator } from '../main.ts'
import { PLAN_COMMAND } from './plan.ts'

const CONFIG_FILE = 'hearth-operator.yaml'
const CONFIG = configOption(CONFIG_FILE)
const JSON_OPTION: CommandOption = { type: 'boolean', help: 'print JSON' }
const COUNT_MAX = 1000

/** The verbs of `hearth-operator`. */
export const OPERATOR_COMMANDS: Readonly<Record<string, Command>> = {
  ...daemonVerbs({ configFile: CONFIG_FILE, load: loadOperatorConfig, run: runOperator }),
  status: {
    usage: '[--config FILE] [--json]',
    summary: 'show what the running service offers',
    options: { config: CONFIG, set: SET_OPTION, json: JSON_OPTION },
    async run(input) {
      const status = await askOperation<OperatorStatus>(socketOf(await configOf(input)), 'status')
      input.print(
        input.values.json === true
          ? JSON.stringify(status, null, 2)
          : `directory    ${status.directory}\nauthorities  ${status.authorities.join(', then ')}`,
      )
      return EXIT.OK
    },
  },
  plan: PLAN_COMMAND,
  'device add': {
    usage: '[NAME] [--count N] [--config FILE] [--json]',
    summary: 'register a router: makes its name and its one-time key',
    options: {
      config: CONFIG,
      set: SET_OPTION,
      count: { type: 'string', value: 'N', help: `register N routers at once (at most ${COUNT_MAX})` },
      json: JSON_OPTION,
    },
    words: { min: 0, max: 1 },
    async run(input) {
      const name = input.words[0]
      const count = Number(input.values.count ?? 1)
      if (!Number.isInteger(count) || count < 1 || count > COUNT_MAX || (name !== undefined && count > 1))
        throw new Fault('USAGE', `--count: expected 1 to ${COUNT_MAX}, and 1 with a name`)
      const devices = await operate<readonly NewDevice[]>(input, 'device-add', {
        ...(name === undefined ? {} : { name }),
        count,
      })
      input.print(input.values.json === true ? JSON.stringify(devices, null, 2) : devices.map(deviceText).join('\n\n'))
      return EXIT.OK
    },
  },
  'device list': {
    usage: '[--after NAME] [--config FILE] [--json]',
    summary: 'list the registered routers',
    options: {
      config: CONFIG,
      set: SET_OPTION,
      after: { type: 'string', value: 'NAME', help: 'continue a long list after this name' },
      json: JSON_OPTION,
    },
    async run(input) {
      const { after } = input.values
      const devices = await operate<readonly DeviceSummary[]>(
        input,
        'device-list',
        after === undefined ? {} : { after },
      )
      if (input.values.json === true) input.print(JSON.stringify(devices, null, 2))
      else if (devices.length === 0) input.print('no router is registered; `hearth-operator device add` registers one')
      else
        for (const { name, added, enrolled } of devices)
          input.print(`${name}  ${enrolled ? 'enrolled' : 'waiting '}  added ${added.slice(0, 10)}`)
      return EXIT.OK
    },
  },
}

function deviceText({ name, eab }: NewDevice): string {
  return `name     ${name}\neab kid  ${eab.kid}\neab key  ${eab.key}\n(the key is shown once; put it into the file that identity.acme-delegation.eab.key-file of the router names)`
}

async function configOf(input: Input): Promise<OperatorConfig> {
  const { file, overrides } = configArguments(input, CONFIG_FILE)
  return loadOperatorConfig(file, overrides)
}

function socketOf(config: OperatorConfig): string {
  return join(config.state, 'admin.sock')
}

/** Asks the running service; when none runs, does the same on its store. */
async function operate<T>(input: Input, operation: Exclude<OperationName, 'status'>, argument: object): Promise<T> {
  const config = await configOf(input)
  try {
    return await askOperation<T>(socketOf(config), operation, argument)
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'NOT_RUNNING') throw error
  }
  const lock = await lockDirectory(config.state)
  const store = await openStore(config.store)
  try {
    const registry = openRegistry(config, store.table<DeviceRow>('device'), systemClock)
    const operations: Operations = createOperations({ registry, authorities: [], baseUrl: config.baseUrl })
    return (await operations[operation](argument)) as T
  } finally {
    await store.close()
    await lock.release()
  }
}
