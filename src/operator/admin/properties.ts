/** What many operations take and give. */

/** One call adds and lists at most this many: an answer must fit into memory. */
export const PAGE_MAX = 1000
/** RFC 1035 §2.3.4, in text. */
export const NAME_CHARS_MAX = 253
const ID_CHARS_MAX = 128

export const NAME = {
  type: 'string',
  description: 'name of the router, or its first label',
  maxLength: NAME_CHARS_MAX,
  required: true,
} as const
export const ID = { type: 'string', description: 'id of the order', maxLength: ID_CHARS_MAX, required: true } as const
export const AFTER = { type: 'string', description: 'continue after this one', maxLength: NAME_CHARS_MAX } as const
export const LIMIT = { type: 'integer', description: 'how many at most', minimum: 1, maximum: PAGE_MAX } as const

/** Where the next page of a list starts, when this one is full. */
export function nextAfter(page: readonly { readonly id: string }[], limit: number): { readonly next?: string } {
  return page.length < limit ? {} : { next: page.at(-1)!.id }
}
