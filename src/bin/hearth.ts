import { ROUTER_COMMANDS } from '../router/cli/commands.ts'
import { main } from './main.ts'

await main(
  { name: 'hearth', about: 'Hearth: encrypted DNS and a believed identity for the home router.' },
  ROUTER_COMMANDS,
)
