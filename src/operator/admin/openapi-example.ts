import type { InputSchema, Property } from './input.ts'

/** An input that passes the schema: what is required, and nothing else. */
export function exampleOf(input: InputSchema): Readonly<Record<string, unknown>> {
  const required = Object.entries(input).filter(([, property]) => property.required)
  return Object.fromEntries(required.map(([name, property]) => [name, valueOf(name, property)]))
}

/** Texts of the names that our operations use; others have an `enum`, or are free. */
const TEXTS: Readonly<Record<string, string>> = { name: 'attic', id: 'Zm9yIGV4YW1wbGU' }

function valueOf(name: string, property: Property): unknown {
  switch (property.type) {
    case 'boolean':
      return true
    case 'integer':
      return property.minimum
    case 'array':
      return [TEXTS['name']]
    case 'string':
      return property.enum?.[0] ?? TEXTS[name] ?? ''
  }
}
