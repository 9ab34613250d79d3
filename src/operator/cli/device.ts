import { type Command, type CommandOption, EXIT, JSON_OPTION, show } from '../../core/command.ts'
import { Fault } from '../../core/fault.ts'
import { REVOCATION_REASON_NAMES } from '../../pki/revocation-reason.ts'
import type { DeviceDetails, DeviceSummary } from '../admin/device-operations.ts'
import type { OrderSummary } from '../admin/order-operations.ts'
import { STANDINGS } from '../delegation/standing.ts'
import { CONFIG_OPTIONS, choiceOf, listed, ONE_WORD, PAGE_OPTIONS, textOf, withOperations } from './ask.ts'
import { facts, minute, pageOf } from './columns.ts'
import { DEVICE_ADD, serviceOf } from './device-add.ts'
import { routerFiles } from './export/format.ts'
import { HAND_OUT_OPTIONS, handOut } from './hand-out.ts'
import { checkFinished } from './unfinished.ts'

export const REASON_OPTION: CommandOption = {
  type: 'string',
  value: 'REASON',
  help: REVOCATION_REASON_NAMES.join(', ').replace(/cessationOfOperation/, '$& (default)'),
}
const ORDERS_SHOWN = 20

export const DEVICE_COMMANDS: Readonly<Record<string, Command>> = {
  'device add': DEVICE_ADD,
  'device list': {
    usage: '[--state STATE] [--after NAME] [--limit N] [--config FILE] [--json]',
    summary: 'list the registered routers',
    options: {
      ...CONFIG_OPTIONS,
      state: { type: 'string', value: 'STATE', help: `only those that are ${STANDINGS.join(', ')}` },
      ...PAGE_OPTIONS,
      json: JSON_OPTION,
    },
    run: (input) =>
      withOperations(input, async (ask) => {
        const state = choiceOf(input, 'state', STANDINGS)
        const { items, next } = await listed(input, async (page) => {
          const { devices, next: last } = await ask('device-list', {
            ...page,
            ...(state === undefined ? {} : { state }),
          })
          return { items: devices, ...(last === undefined ? {} : { next: last }) }
        })
        const none =
          state === undefined
            ? 'no router is registered; `hearth-operator device add` registers one'
            : `no router is ${state}`
        show(input, items, items.length > 0 ? deviceTable(items, next) : none)
        return EXIT.OK
      }),
  },
  'device show': {
    usage: 'NAME [--config FILE] [--json]',
    summary: 'show one router and its orders',
    options: { ...CONFIG_OPTIONS, json: JSON_OPTION },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        const device = await ask('device-show', { name: input.words[0]! })
        const { orders } = await ask('order-list', { device: device.name })
        show(input, { ...device, orders }, deviceText(device, orders))
        return EXIT.OK
      }),
  },
  'device rotate': {
    usage: 'NAME [--now] [--format FORMAT --out PATH] [--config FILE]',
    summary: 'give a router a new key; its account ends when the new key is used',
    options: {
      ...CONFIG_OPTIONS,
      now: { type: 'boolean', help: 'end the account and its renewals at once, for a key that was lost' },
      ...HAND_OUT_OPTIONS,
    },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask, config) => {
        const name = input.words[0]!
        await handOut(input, config, name, () => ask('device-rotate', { name, now: input.values.now === true }))
        return EXIT.OK
      }),
  },
  'device transfer': {
    usage: 'NAME [--format FORMAT --out PATH] [--config FILE]',
    summary: 'give a router to a new owner: a new key; all of the old owner ends',
    options: { ...CONFIG_OPTIONS, ...HAND_OUT_OPTIONS },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask, config) => {
        const name = input.words[0]!
        await handOut(input, config, name, () => ask('device-transfer', { name }))
        return EXIT.OK
      }),
  },
  'device export': {
    usage: 'NAME [--rotate [--format FORMAT --out PATH]] [--config FILE]',
    summary: 'what a router needs to know; its key only as a new one (--rotate)',
    options: {
      ...CONFIG_OPTIONS,
      rotate: { type: 'boolean', help: 'with a new key; the old one cannot be shown again' },
      ...HAND_OUT_OPTIONS,
    },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask, config) => {
        const name = input.words[0]!
        if (input.values.rotate === true) {
          await handOut(input, config, name, () => ask('device-rotate', { name }))
          return EXIT.OK
        }
        if (textOf(input, 'out') !== undefined || textOf(input, 'format') !== undefined)
          throw new Fault('USAGE', '--format and --out hand out a key; the old one is not kept for that, add --rotate')
        const { name: id, eabKid: kid, state, directory } = await ask('device-show', { name })
        if (state === 'revoked') throw new Fault('CONFLICT', `${id} is revoked`)
        const service = await serviceOf(config)
        const files = routerFiles({ name: id, eab: { kid, key: '' } }, service)
        if (input.values.json === true) input.print(JSON.stringify({ name: id, directory, eab: { kid } }, null, 2))
        else input.print(files['identity.yaml']!.trimEnd())
        return EXIT.OK
      }),
  },
  'device revoke': {
    usage: 'NAME [--reason REASON] [--config FILE] [--json]',
    summary: 'end a router: its name, account, renewals and certificates',
    options: { ...CONFIG_OPTIONS, reason: REASON_OPTION, json: JSON_OPTION },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        const reason = choiceOf(input, 'reason', REVOCATION_REASON_NAMES)
        const name = input.words[0]!
        const ended = await ask('device-revoke', { name, ...(reason === undefined ? {} : { reason }) })
        const rest =
          ended.usableUntil === undefined
            ? 'no certificate of it is valid'
            : `its last certificate may be believed until ${minute(ended.usableUntil)} UTC`
        show(input, ended, `${ended.name} is revoked; ${rest}`)
        checkFinished(ended)
        return EXIT.OK
      }),
  },
  'device remove': {
    usage: 'NAME [--config FILE]',
    summary: 'forget a revoked router; its name is free again',
    options: CONFIG_OPTIONS,
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        const { name } = await ask('device-remove', { name: input.words[0]! })
        input.print(`${name} is removed`)
        return EXIT.OK
      }),
  },
}

function deviceTable(devices: readonly DeviceSummary[], next: string | undefined): string {
  const rows = devices.map(({ name, state, validUntil, added }) => [
    name,
    state,
    minute(validUntil),
    added.slice(0, 10),
  ])
  return pageOf([['NAME', 'STATE', 'VALID UNTIL', 'ADDED'], ...rows], next)
}

function deviceText(device: DeviceDetails, orders: readonly OrderSummary[]): string {
  const { name, state, validUntil, revokedAt, revokedFor, rotatedAt } = device
  const about = facts({
    name,
    state,
    'valid until': validUntil && minute(validUntil),
    added: minute(device.added),
    enrolled: device.enrolledAt && minute(device.enrolledAt),
    'new key': rotatedAt && `made ${minute(rotatedAt)}, not used yet`,
    revoked: revokedAt && `${minute(revokedAt)}, ${revokedFor}`,
    account: device.account,
    'eab kid': device.eabKid,
    directory: device.directory,
  })
  return orders.length === 0 ? about : `${about}\n\n${orderTable(orders.slice(0, ORDERS_SHOWN), undefined)}`
}

export function orderTable(orders: readonly OrderSummary[], next: string | undefined): string {
  const rows = orders.map(({ id, status, validUntil, names, error }) => [
    id,
    status,
    minute(validUntil),
    error ?? names.join(' '),
  ])
  return pageOf([['ORDER', 'STATUS', 'VALID UNTIL', 'NAME OR ERROR'], ...rows], next)
}
