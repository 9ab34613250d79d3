import type { InputSchema } from './input.ts'

/** Query parameters as the JSON object they stand for. What is not of its type stays text, for the schema to refuse. */
export function inputOfQuery(query: URLSearchParams, schema: InputSchema): Readonly<Record<string, unknown>> {
  const names = [...new Set(query.keys())]
  return Object.fromEntries(
    names.map((name) => {
      const values = query.getAll(name)
      const type = Object.hasOwn(schema, name) ? schema[name]!.type : 'string'
      return [name, type === 'array' || values.length > 1 ? values : typed(values[0]!, type)]
    }),
  )
}

function typed(text: string, type: InputSchema[string]['type']): unknown {
  if (type === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text)
  if (type === 'boolean' && (text === 'true' || text === 'false')) return text === 'true'
  return text
}
