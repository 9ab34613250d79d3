import { type Command, EXIT, JSON_OPTION, show } from '../../core/command.ts'
import { Fault } from '../../core/fault.ts'
import { CONFIG_OPTIONS, choiceOf, listed, ONE_WORD, PAGE_OPTIONS, textOf, withOperations } from './ask.ts'
import { columns, minute } from './columns.ts'

const DAYS = /^([1-9]\d{0,3})d$/
const DAY_MS = 86_400_000

export const TOKEN_COMMANDS: Readonly<Record<string, Command>> = {
  'token add': {
    usage: 'NAME --role read|operate [--expires DAYSd|TIME] [--config FILE] [--json]',
    summary: 'make a token for the admin API; it is shown this once',
    options: {
      ...CONFIG_OPTIONS,
      role: { type: 'string', value: 'ROLE', help: 'read: sees everything but secrets; operate: may do all' },
      expires: { type: 'string', value: 'WHEN', help: 'such as 90d, or 2027-01-10T00:00:00Z; never unless given' },
      json: JSON_OPTION,
    },
    words: ONE_WORD,
    async run(input) {
      const role = choiceOf(input, 'role', ['read', 'operate'])
      if (role === undefined) throw new Fault('USAGE', '--role is missing: read or operate')
      const expires = endOf(textOf(input, 'expires'))
      const question = { name: input.words[0]!, role, ...(expires === undefined ? {} : { expires }) }
      return withOperations(input, async (ask) => {
        const made = await ask('token-add', question)
        show(input, made, made.token)
        return EXIT.OK
      })
    },
  },
  'token list': {
    usage: '[--after NAME] [--limit N] [--config FILE] [--json]',
    summary: 'list the tokens of the admin API, without their secrets',
    options: { ...CONFIG_OPTIONS, ...PAGE_OPTIONS, json: JSON_OPTION },
    run: (input) =>
      withOperations(input, async (ask) => {
        const { items } = await listed(input, async (page) => {
          const { tokens, next } = await ask('token-list', page)
          return { items: tokens, ...(next === undefined ? {} : { next }) }
        })
        const rows = items.map(({ name, role, added, expires }) => [name, role, minute(added), minute(expires)])
        const table = columns([['NAME', 'ROLE', 'ADDED', 'EXPIRES'], ...rows])
        show(input, items, rows.length > 0 ? table : 'there are no tokens; `hearth-operator token add` makes one')
        return EXIT.OK
      }),
  },
  'token remove': {
    usage: 'NAME [--config FILE]',
    summary: 'end a token of the admin API at once',
    options: CONFIG_OPTIONS,
    words: ONE_WORD,
    run: (input) =>
      withOperations(input, async (ask) => {
        const { name } = await ask('token-remove', { name: input.words[0]! })
        input.print(`${name} opens nothing any more`)
        return EXIT.OK
      }),
  },
}

/** The moment `90d` from now, or the time that was given. */
function endOf(when: string | undefined): string | undefined {
  const [, days] = DAYS.exec(when ?? '') ?? []
  return days === undefined ? when : `${new Date(Date.now() + Number(days) * DAY_MS).toISOString().slice(0, 19)}Z`
}
