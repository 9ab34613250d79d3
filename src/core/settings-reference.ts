import { describe, type Field } from './settings.ts'

/** The reference page of a settings file, made of the table that reads the file. */

export interface SettingRow {
  /** As in `--set`; N stands for a place in a list. */
  readonly key: string
  readonly type: string
  /** As written in the file; `required`, or `none` when the key may be left out and nothing takes its place. */
  readonly default: string
  readonly description: string
}

export function describeSettings(schema: Field<unknown>, key = ''): readonly SettingRow[] {
  const { type, description, isOptional, default: preset, fields, of } = describe(schema)
  const inner = Object.entries(fields ?? {}).flatMap(([name, field]) =>
    describeSettings(field, key ? `${key}.${name}` : name),
  )
  const entries = of && describe(of).fields ? describeSettings(of, `${key}.N`).slice(1) : []
  const isRequired = preset === undefined && !isOptional && !fields
  const row = {
    key,
    type,
    description,
    default: preset === undefined ? (isRequired ? 'required' : 'none') : inYaml(preset),
  }
  return [...(key ? [row] : []), ...inner, ...entries]
}

export function settingsReference(title: string, schema: Field<unknown>): string {
  const rows = describeSettings(schema).map(({ key, type, default: preset, description }) => {
    const shown = preset === 'required' || preset === 'none' ? preset : code(preset)
    return `| ${[code(key), cell(type), shown, cell(description)].join(' | ')} |`
  })
  const { description } = describe(schema)
  return [
    `# ${title}`,
    '',
    description,
    '',
    '| Key | Type | Default | Meaning |',
    '|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

function inYaml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(inYaml).join(', ')}]`
  if (typeof value !== 'object' || value === null) return String(value)
  return `{ ${Object.entries(value)
    .map(([key, part]) => `${key}: ${inYaml(part)}`)
    .join(', ')} }`
}

function code(text: string): string {
  return `\`${cell(text)}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ')
}
