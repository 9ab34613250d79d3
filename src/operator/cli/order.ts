import { type Command, EXIT } from '../../core/command.ts'
import { ORDER_STATUSES } from '../admin/order-operations.ts'
import { REVOCATION_REASON_NAMES } from '../delegation/revocations.ts'
import { CONFIG_OPTIONS, choiceOf, JSON_OPTION, listed, PAGE_OPTIONS, textOf, withOperations } from './ask.ts'
import { facts, minute } from './columns.ts'
import { orderTable, REASON_OPTION } from './device.ts'
import { checkFinished } from './unfinished.ts'

const ONE_WORD = { min: 1, max: 1 } as const

export const ORDER_COMMANDS: Readonly<Record<string, Command>> = {
  'order list': {
    usage: '[--device NAME] [--status STATUS] [--after ID] [--limit N] [--config FILE] [--json]',
    summary: 'list orders, of one router or of one status',
    options: {
      ...CONFIG_OPTIONS,
      device: { type: 'string', value: 'NAME', help: 'only those of this router' },
      status: { type: 'string', value: 'STATUS', help: `only those that are ${ORDER_STATUSES.join(', ')}` },
      ...PAGE_OPTIONS,
      json: JSON_OPTION,
    },
    run: (input) =>
      withOperations(input, async (ask) => {
        const device = textOf(input, 'device')
        const status = choiceOf(input, 'status', ORDER_STATUSES)
        const { items, next } = await listed(input, async (page) => {
          const { orders, next: last } = await ask('order-list', {
            ...page,
            ...(device === undefined ? {} : { device }),
            ...(status === undefined ? {} : { status }),
          })
          return { items: orders, ...(last === undefined ? {} : { next: last }) }
        })
        if (input.values.json === true) input.print(JSON.stringify(items, null, 2))
        else
          input.print(
            items.length > 0
              ? orderTable(items, next)
              : (device ?? status) === undefined
                ? 'there are no orders yet'
                : 'there is no such order',
          )
        return EXIT.OK
      }),
  },
  'order show': {
    usage: 'ID [--config FILE] [--json]',
    summary: 'show one order',
    options: { ...CONFIG_OPTIONS, json: JSON_OPTION },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        const order = await ask('order-show', { id: input.words[0]! })
        const { names, renews, expires, validUntil, renewsUntil } = order
        const text = facts({
          order: order.id,
          status: order.status,
          names: names.join(' '),
          account: order.account,
          renews: renews ? `until ${minute(renewsUntil)}, every ${order.lifetime} s` : 'no',
          expires: minute(expires),
          certificate: order.certificate,
          'valid until': validUntil && minute(validUntil),
          error: order.error,
        })
        input.print(input.values.json === true ? JSON.stringify(order, null, 2) : text)
        return EXIT.OK
      }),
  },
  'order cancel': {
    usage: 'ID [--reason REASON] [--config FILE] [--json]',
    summary: 'end the renewals of an order, or an order that is not done yet',
    options: { ...CONFIG_OPTIONS, reason: REASON_OPTION, json: JSON_OPTION },
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        const reason = choiceOf(input, 'reason', REVOCATION_REASON_NAMES)
        const ended = await ask('order-cancel', { id: input.words[0]!, ...(reason === undefined ? {} : { reason }) })
        const rest =
          ended.usableUntil === undefined
            ? ''
            : `; its last certificate is valid until ${minute(ended.usableUntil)} UTC`
        const text = `order ${ended.id} is ${ended.status}${rest}`
        input.print(input.values.json === true ? JSON.stringify(ended, null, 2) : text)
        checkFinished(ended)
        return EXIT.OK
      }),
  },
}
