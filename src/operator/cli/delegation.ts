import { type Command, EXIT, JSON_OPTION, show } from '../../core/command.ts'
import { CONFIG_OPTIONS, listed, ONE_WORD, PAGE_OPTIONS, withOperations } from './ask.ts'
import { pageOf } from './columns.ts'

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
        const rows = items.map(({ name, account }) => [name, account])
        const table = pageOf([['NAME', 'ACCOUNT'], ...rows], next)
        show(input, items, items.length > 0 ? table : 'no router has enrolled yet')
        return EXIT.OK
      }),
  },
  'delegation show': {
    usage: 'NAME [--config FILE]',
    summary: 'show the delegation object of a router, with its CSR template',
    options: CONFIG_OPTIONS,
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        // JSON either way: the object is what the router gets.
        input.print(JSON.stringify(await ask('delegation-show', { name: input.words[0]! }), null, 2))
        return EXIT.OK
      }),
  },
}
