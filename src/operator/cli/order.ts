import { type Command, EXIT, JSON_OPTION, show } from '../../core/command.ts'
import { REVOCATION_REASON_NAMES } from '../../pki/revocation-reason.ts'
import { ORDER_STATUSES } from '../admin/order-operations.ts'
import { CONFIG_OPTIONS, choiceOf, listed, ONE_WORD, PAGE_OPTIONS, textOf, withOperations } from './ask.ts'
import { facts, minute } from './columns.ts'
import { orderTable, REASON_OPTION } from './device.ts'
import { checkFinished } from './unfinished.ts'

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
        const none = (device ?? status) === undefined ? 'there are no orders yet' : 'there is no such order'
        show(input, items, items.length > 0 ? orderTable(items, next) : none)
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
        show(input, order, text)
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
        show(input, ended, text)
        checkFinished(ended)
        return EXIT.OK
      }),
  },
}
