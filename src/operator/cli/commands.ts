import { type Command, EXIT, JSON_OPTION, show } from '../../core/command.ts'
import { daemonVerbs } from '../../core/daemon-verbs.ts'
import { askOperation } from '../../net/operations.ts'
import type { OperatorStatus } from '../admin/operations.ts'
import { loadOperatorConfig } from '../config.ts'
import { recordsToSet } from '../dns/records-to-set.ts'
import { runOperator } from '../main.ts'
import { ROLES } from '../roles.ts'
import { CONFIG_FILE, CONFIG_OPTIONS, configOf, socketOf } from './ask.ts'
import { AUDIT_COMMANDS } from './audit.ts'
import { AUTHORITY_COMMANDS } from './authority.ts'
import { DELEGATION_COMMANDS } from './delegation.ts'
import { DEVICE_COMMANDS } from './device.ts'
import { ORDER_COMMANDS } from './order.ts'
import { PLAN_COMMAND } from './plan.ts'
import { statusText } from './status-text.ts'
import { TOKEN_COMMANDS } from './token.ts'

const DAEMON = daemonVerbs({
  configFile: CONFIG_FILE,
  load: loadOperatorConfig,
  run: runOperator,
  advise: ({ zone }) => recordsToSet(zone),
})

/** The verbs of `hearth-operator`. */
export const OPERATOR_COMMANDS: Readonly<Record<string, Command>> = {
  ...DAEMON,
  run: {
    ...DAEMON.run,
    usage: `${DAEMON.run.usage} [--role ROLE,ROLE]`,
    options: {
      ...DAEMON.run.options,
      role: { type: 'string', value: 'ROLE,ROLE', help: `what this instance does: ${ROLES.join(', ')} (default all)` },
    },
    run: ({ values: { role, set = [], ...values }, ...input }) =>
      DAEMON.run.run({
        ...input,
        values: { ...values, set: role === undefined ? set : [...(set as string[]), `roles=[${String(role)}]`] },
      }),
  },
  status: {
    usage: '[--config FILE] [--json]',
    summary: 'show what the running service offers, its routers and its CAs',
    options: { ...CONFIG_OPTIONS, json: JSON_OPTION },
    async run(input) {
      const status = await askOperation<OperatorStatus>(socketOf(await configOf(input)), 'status')
      show(input, status, statusText(status))
      return EXIT.OK
    },
  },
  ...DEVICE_COMMANDS,
  ...DELEGATION_COMMANDS,
  ...ORDER_COMMANDS,
  ...AUTHORITY_COMMANDS,
  ...AUDIT_COMMANDS,
  plan: PLAN_COMMAND,
  ...TOKEN_COMMANDS,
}
