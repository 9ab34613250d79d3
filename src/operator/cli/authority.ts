import { type Command, EXIT, JSON_OPTION, show } from '../../core/command.ts'
import { CONFIG_OPTIONS, withOperations } from './ask.ts'
import { columns } from './columns.ts'

export const AUTHORITY_COMMANDS: Readonly<Record<string, Command>> = {
  'authority list': {
    usage: '[--caa] [--config FILE] [--json]',
    summary: 'list the CAs behind this service, or the CAA records for them',
    options: {
      ...CONFIG_OPTIONS,
      caa: { type: 'boolean', help: 'lines for the zone file: nobody else gets certificates (RFC 8657)' },
      json: JSON_OPTION,
    },
    run: (input) =>
      withOperations(input, async (ask) => {
        if (input.values.caa === true) {
          const records = await ask('authority-caa', {})
          show(input, records, records.join('\n'))
          return EXIT.OK
        }
        const authorities = await ask('authority-list', {})
        const rows = authorities.map(({ name, kind, directory = '-' }) => [name, kind, directory])
        show(input, authorities, columns([['NAME', 'KIND', 'DIRECTORY'], ...rows]))
        return EXIT.OK
      }),
  },
  'authority test': {
    usage: '[NAME] [--config FILE] [--json]',
    summary: 'ask the CAs whether they answer; orders nothing',
    options: { ...CONFIG_OPTIONS, json: JSON_OPTION },
    words: { min: 0, max: 1 },
    run: (input) =>
      withOperations(input, async (ask) => {
        const name = input.words[0]
        const tests = await ask('authority-test', name === undefined ? {} : { name })
        const rows = tests.map((test) => [
          test.name,
          test.works ? 'works' : 'FAILS',
          `${test.milliseconds} ms`,
          test.detail,
        ])
        show(input, tests, columns(rows))
        return tests.every(({ works }) => works) ? EXIT.OK : EXIT.FAILED
      }),
  },
}
