import { closest, didYouMean, shown } from '../../core/units.ts'

/**
 * What an operation takes: the properties of a JSON object, in the words of JSON Schema (2020-12), so that the OpenAPI
 * document carries them as they are. Everything has a bound.
 */
export type InputSchema = Readonly<Record<string, Property>>

export type Property = Value & { readonly description: string; readonly required?: true }

type Value =
  | {
      readonly type: 'string'
      readonly maxLength: number
      readonly enum?: readonly string[]
      readonly pattern?: string
    }
  | { readonly type: 'integer'; readonly minimum: number; readonly maximum: number }
  | { readonly type: 'boolean' }
  | {
      readonly type: 'array'
      readonly maxItems: number
      readonly items: { readonly type: 'string'; readonly maxLength: number }
    }

type TypeOf<P extends Property> = P extends { readonly enum: readonly (infer Word)[] }
  ? Word
  : { string: string; integer: number; boolean: boolean; array: readonly string[] }[P['type']]

type RequiredIn<S extends InputSchema> = {
  [Name in keyof S]: S[Name] extends { readonly required: true } ? Name : never
}[keyof S]

/** The TypeScript type of what passes the schema. */
export type InputOf<S extends InputSchema> = {
  readonly [Name in RequiredIn<S>]: TypeOf<S[Name]>
} & { readonly [Name in Exclude<keyof S, RequiredIn<S>>]?: TypeOf<S[Name]> }

/** Everything that is wrong with the input, for people; empty when it fits. */
export function problemsOf(input: unknown, schema: InputSchema): readonly string[] {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return [`expected a JSON object, got ${shown(input)}`]
  const unknown = Object.keys(input).filter((name) => !Object.hasOwn(schema, name))
  return [
    ...unknown.slice(0, UNKNOWN_SHOWN_MAX).map((name) => {
      const near = didYouMean(closest(name, Object.keys(schema)))
      return `there is no ${shown(name)} here${near === undefined ? '' : `; ${near}`}`
    }),
    ...Object.entries(schema).flatMap(([name, property]) => {
      const value: unknown = Object.getOwnPropertyDescriptor(input, name)?.value
      if (value === undefined) return property.required ? [`${name} is missing`] : []
      const expected = expectation(value, property)
      return expected === undefined ? [] : [`${name}: expected ${expected}, got ${shown(value)}`]
    }),
  ]
}

const UNKNOWN_SHOWN_MAX = 10

/** Undefined when the value is as the property wants it; otherwise what that would be. */
function expectation(value: unknown, property: Value): string | undefined {
  const met = (isMet: boolean, words: string): string | undefined => (isMet ? undefined : words)
  switch (property.type) {
    case 'boolean':
      return met(typeof value === 'boolean', 'true or false')
    case 'integer': {
      const { minimum, maximum } = property
      const isInside = Number.isInteger(value) && (value as number) >= minimum && (value as number) <= maximum
      return met(isInside, `a whole number from ${minimum} to ${maximum}`)
    }
    case 'array': {
      const { maxItems, items } = property
      const fits = Array.isArray(value) && value.length <= maxItems && value.every((item) => isText(item, items))
      return met(fits, `at most ${maxItems} texts of at most ${items.maxLength} characters`)
    }
    case 'string': {
      if (property.enum)
        return met(
          property.enum.some((word) => word === value),
          property.enum.join(', '),
        )
      const fits =
        isText(value, property) && (property.pattern === undefined || new RegExp(property.pattern).test(value))
      const form = property.pattern === undefined ? '' : ` of the form ${property.pattern}`
      return met(fits, `text of at most ${property.maxLength} characters${form}`)
    }
  }
}

function isText(value: unknown, { maxLength }: { readonly maxLength: number }): value is string {
  return typeof value === 'string' && value.length <= maxLength
}
