import type { InputSchema } from './input.ts'
import { exampleOf } from './openapi-example.ts'
import type { OperationTable } from './operation.ts'

/** Where operations are asked for: `/api/v1/device-add`. */
export const API_PREFIX = '/api/v1/'

/** The OpenAPI 3.1 document of the table. Input schemas are JSON Schema already, so they are carried over as they are. */
export function openApiDocument(table: OperationTable, version: string): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Hearth operator',
      version,
      description:
        'What may be asked of the service. Each operation is a POST with a JSON object; those that change nothing can be asked for by GET, too, with the members of the object as query parameters.',
    },
    servers: [{ url: API_PREFIX.slice(0, -1) }],
    security: [{ bearer: [] }],
    paths: Object.fromEntries(Object.entries(table).map(([name, about]) => [`/${name}`, pathOf(name, about)])),
    components: {
      securitySchemes: { bearer: { type: 'http', scheme: 'bearer' } },
      responses: {
        Problem: {
          description: 'why it was not done (RFC 9457)',
          content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
        },
      },
      schemas: {
        Problem: {
          type: 'object',
          required: ['type', 'title', 'status', 'detail'],
          properties: {
            type: { type: 'string' },
            title: { type: 'string' },
            status: { type: 'integer' },
            detail: { type: 'string' },
            code: { type: 'string', description: 'name of the fault; stable' },
            hint: { type: 'string', description: 'what to do next' },
          },
        },
      },
    },
  }
}

function pathOf(name: string, { summary, role, input }: OperationTable[string]): object {
  const responses = {
    200: { description: 'done', content: { 'application/json': { schema: {} } } },
    default: { $ref: '#/components/responses/Problem' },
  }
  const about = { summary, description: `Needs the role \`${role}\`.`, tags: [name.split('-')[0]], responses }
  return {
    post: {
      operationId: name,
      ...about,
      requestBody: {
        required: Object.values(input).some(({ required }) => required === true),
        content: { 'application/json': { schema: schemaOf(input), example: exampleOf(input) } },
      },
    },
    ...(role === 'read' ? { get: { operationId: `${name}-get`, ...about, parameters: parametersOf(input) } } : {}),
  }
}

function schemaOf(input: InputSchema): object {
  const required = Object.keys(input).filter((name) => input[name]!.required)
  return {
    type: 'object',
    additionalProperties: false,
    properties: Object.fromEntries(
      Object.entries(input).map(([name, { required: _required, ...schema }]) => [name, schema]),
    ),
    ...(required.length > 0 ? { required } : {}),
  }
}

function parametersOf(input: InputSchema): readonly object[] {
  return Object.entries(input).map(([name, { required = false, description, ...schema }]) => ({
    name,
    in: 'query',
    required,
    description,
    schema,
  }))
}
