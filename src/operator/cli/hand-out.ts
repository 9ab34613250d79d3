import type { CommandOption, Input } from '../../core/command.ts'
import { Fault } from '../../core/fault.ts'
import type { Handover } from '../admin/device-operations.ts'
import type { OperatorConfig } from '../config.ts'
import { textOf } from './ask.ts'
import { minute } from './columns.ts'
import { formatOf, keyText, serviceOf, textOfAll } from './device-add.ts'
import { FORMATS } from './export/format.ts'
import { openOutput } from './export/output.ts'
import { checkFinished } from './unfinished.ts'

export const HAND_OUT_OPTIONS = {
  format: { type: 'string', value: 'FORMAT', help: FORMATS.join(', ') },
  out: { type: 'string', value: 'PATH', help: 'new file (or directory, for openwrt) for the key; mode 0600' },
  json: { type: 'boolean', help: 'the same as --format json' },
} as const satisfies Record<string, CommandOption>

/** Makes a new key and gives it out. The place for it is made first: a key that cannot be written would be lost. */
export async function handOut(
  input: Input,
  config: OperatorConfig,
  name: string,
  make: () => Promise<Handover>,
): Promise<void> {
  const out = textOf(input, 'out')
  const format = formatOf(input)
  const service = await serviceOf(config)
  if (out === undefined) {
    if (format === 'openwrt') throw new Fault('USAGE', '--format openwrt writes a directory: name a place with --out')
    const made = await make()
    input.print(format === undefined ? `${keyText(made)}${endOf(made)}` : textOfAll([made], format, service))
    return checkFinished(made)
  }
  const output = await openOutput(out, {
    format: format ?? 'jsonl',
    source: `a new key of ${name}`,
    run: name,
    service,
  })
  if (output.done > 0) {
    await output.close()
    throw new Fault('USAGE', `${out} holds an earlier key; name another place`)
  }
  try {
    const made = await make()
    await output.append([made])
    await output.finish()
    input.print(`the new key of ${made.name} is in ${out} and nowhere else${endOf(made)}`)
    checkFinished(made)
  } catch (error) {
    await output.discard()
    throw error
  } finally {
    await output.close()
  }
}

function endOf({ usableUntil }: Handover): string {
  return usableUntil === undefined ? '' : `\nthe old certificate may be believed until ${minute(usableUntil)} UTC`
}
