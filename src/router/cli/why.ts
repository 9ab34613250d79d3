import { isIP } from 'node:net'
import type { Command, Input } from '../../core/command.ts'
import { Fault } from '../../core/fault.ts'
import { typeName, typeNumber } from '../../dns/codes.ts'
import { nameToWire } from '../../dns/name.ts'
import { plainAddress } from '../../net/address.ts'
import type { Why, WhyQuestion } from '../resolve/why.ts'

export const WHY_OPTIONS: Command['options'] = {
  client: { type: 'string', value: 'IP', help: 'who asks (default 127.0.0.1)' },
}

/** Throws USAGE for what is no question. */
export function whyQuestionOf({ words, values }: Pick<Input, 'words' | 'values'>): WhyQuestion {
  const [name = '', typeText = 'A'] = words
  const type = typeNumber(typeText)
  const { client = '127.0.0.1' } = values
  if (type === undefined) throw new Fault('USAGE', `${typeText} is not a record type`)
  if (!nameToWire(name)) throw new Fault('USAGE', `${name} is not a domain name`)
  if (typeof client !== 'string' || isIP(client) === 0)
    throw new Fault('USAGE', `${String(client)} is not an IP address`)
  return { name, type, client: plainAddress(client) }
}

/** A line per layer; the one that decides is marked. */
export function whyText({ name, type, client, reasons }: Why): string {
  const width = Math.max(0, ...reasons.map(({ layer }) => layer.length))
  const lines = reasons.map(({ layer, says, decides }) => `${decides ? '>' : ' '} ${layer.padEnd(width)}  ${says}`)
  return [`${name} ${typeName(type)} for ${client}`, ...lines].join('\n')
}
