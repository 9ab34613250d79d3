import { type Command, EXIT } from '../../core/command.ts'
import { CONFIG_OPTIONS, JSON_OPTION, listed, PAGE_OPTIONS, withOperations } from './ask.ts'
import { columns } from './columns.ts'

export const DELEGATION_COMMANDS: Readonly<Record<string, Command>> = {
  'delegation list': {
    usage: '[--after NAME] [--limit N] [--config FILE] [--json]',
    summary: 'list which account has which name (RFC 9115)',
    options: { ...CONFIG_OPTIONS, ...PAGE_OPTIONS, json: JSON_OPTION },
    run: (input) =>
      withOperations(input, async (ask) => {
        const { items, next } = await listed(input, async (page) => {
          const { delegations, next: last } = await ask('delegation-list', page)
          return { items: delegations, ...(last === undefined ? {} : { next: last }) }
        })
        if (input.values.json === true) input.print(JSON.stringify(items, null, 2))
        else if (items.length === 0) input.print('no router has enrolled yet')
        else {
          const more = next === undefined ? '' : `\nthere are more: add --after ${next}`
          input.print(columns([['NAME', 'ACCOUNT'], ...items.map(({ name, account }) => [name, account])]) + more)
        }
        return EXIT.OK
      }),
  },
  'delegation show': {
    usage: 'NAME [--config FILE]',
    summary: 'show the delegation object of a router, with its CSR template',
    options: CONFIG_OPTIONS,
    words: { min: 1, max: 1 },
    run: (input) =>
      withOperations(input, async (ask) => {
        // JSON either way: the object is what the router gets.
        input.print(JSON.stringify(await ask('delegation-show', { name: input.words[0]! }), null, 2))
        return EXIT.OK
      }),
  },
}
