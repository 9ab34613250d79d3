import { join } from 'node:path'
import {
  type Command,
  type CommandOption,
  configArguments,
  EXIT,
  type Input,
  JSON_OPTION,
  SET_OPTION,
  show,
} from '../../core/command.ts'
import { configOption, daemonVerbs } from '../../core/daemon-verbs.ts'
import { askOperation } from '../../net/operations.ts'
import { loadRouterConfig } from '../config.ts'
import { runRouter } from '../main.ts'
import { cacheStatsText, flushedText, shownAnswersText } from './cache-text.ts'
import { DEMO } from './demo/demo.ts'
import { QUERY } from './query.ts'
import { advertisementText, identityText, localText, renewalText, statusText, upstreamsText } from './text.ts'
import { WHY_OPTIONS, whyQuestionOf, whyText } from './why.ts'

const CONFIG_FILE = 'hearth.yaml'
const CONFIG = configOption(CONFIG_FILE)
const SOCKET: CommandOption = {
  type: 'string',
  value: 'PATH',
  help: 'socket of the running router, instead of --config',
}

/** The verbs of `hearth`. */
export const ROUTER_COMMANDS: Readonly<Record<string, Command>> = {
  ...daemonVerbs({ configFile: CONFIG_FILE, load: loadRouterConfig, run: runRouter }),
  status: asking('status', 'show what the running router does', statusText),
  query: QUERY,
  why: asking('why', 'say what happens to a question, layer by layer, and which list blocks it', whyText, {
    words: { usage: '[--client IP] NAME [TYPE]', min: 1, max: 2 },
    options: WHY_OPTIONS,
    input: whyQuestionOf,
  }),
  advertise: asking('advertise', 'show what clients are told: SVCB records and DNR options', advertisementText),
  'identity show': asking('identity-show', 'show the certificate and what happens to it next', identityText),
  'identity renew': asking('identity-renew', 'fetch or order the next certificate now', renewalText),
  'cache show': asking('cache-show', 'show every answer held for a name', shownAnswersText, {
    words: { usage: 'NAME', min: 1, max: 1 },
    input: ({ words: [name] }) => ({ name }),
  }),
  'cache flush': asking(
    'cache-flush',
    'forget all answers, or those of a name and of all names below it',
    flushedText,
    {
      words: { usage: '[NAME]', min: 0, max: 1 },
      input: ({ words: [name] }) => ({ name }),
    },
  ),
  'cache stats': asking('cache-stats', 'show how full the cache is and what it is good for', cacheStatsText),
  'local show': asking('local-show', 'list the hosts of this home, and which file tells of them', localText),
  upstreams: asking('upstreams', 'show which upstreams answer, how fast, and which names go where', upstreamsText),
  'upstreams reset': asking(
    'upstreams-reset',
    'say that the way to the Internet has changed: connect anew, try those that are down',
    upstreamsText,
  ),
  demo: DEMO,
}

/** A verb that asks the running router and prints the answer. `words` names what follows the verb: `NAME`, `[NAME]`. */
function asking<T>(
  operation: string,
  summary: string,
  text: (answer: T) => string,
  {
    words,
    options = {},
    input: inputOf = () => ({}),
  }: {
    readonly words?: { readonly usage: string; readonly min: number; readonly max: number }
    readonly options?: Command['options']
    readonly input?: (input: Input) => object
  } = {},
): Command {
  return {
    usage: `[--config FILE | --socket PATH] [--json]${words ? ` ${words.usage}` : ''}`,
    summary,
    options: { config: CONFIG, socket: SOCKET, set: SET_OPTION, json: JSON_OPTION, ...options },
    ...(words ? { words } : {}),
    async run(input) {
      const answer = await askOperation<T>(await socketOf(input), operation, inputOf(input))
      show(input, answer, text(answer))
      return EXIT.OK
    },
  }
}

async function socketOf(input: Input): Promise<string> {
  if (typeof input.values.socket === 'string') return input.values.socket
  const { file, overrides } = configArguments(input, CONFIG_FILE)
  return join((await loadRouterConfig(file, overrides)).state, 'admin.sock')
}
