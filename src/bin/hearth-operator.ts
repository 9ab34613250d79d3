import { OPERATOR_COMMANDS } from '../operator/cli/commands.ts'
import { main } from './main.ts'

await main(
  {
    name: 'hearth-operator',
    about: 'Hearth operator: gives home routers their names and certificates (RFC 9115, RFC 8739).',
  },
  OPERATOR_COMMANDS,
)
