import { ENTRY_OVERHEAD_BYTES } from './dynamic-table.ts'
import { type Field, KIND } from './field.ts'
import type { FieldSink } from './hpack-decoder.ts'
import { HEADER_LIST_BYTES_MAX } from './limits.ts'

/** What a handler may know of a request; it is read at once, never kept. Repeated fields are joined (RFC 9110 §5.3). */
export interface RequestHead {
  readonly method: string
  /** Empty for CONNECT, else path and query as sent. */
  readonly path: string
  readonly contentType: string | undefined
  readonly accept: string | undefined
}

const DIGITS = /^\d{1,15}$/

/**
 * Collects the fields of one header block and judges the message (RFC 9113 §8.2, §8.3). One per connection, reset for each
 * block. Fields above HEADER_LIST_BYTES_MAX are forgotten, so that a block which repeats a large table entry costs nothing.
 */
export class HeadCollector implements RequestHead, FieldSink {
  method = ''
  path = ''
  contentType: string | undefined
  accept: string | undefined
  contentLength: number | undefined
  #scheme = ''
  #authority: string | undefined
  #host: string | undefined
  #bytes = 0
  #pseudoFields = 0
  #regularFields = 0
  #faulty = false

  reset(): void {
    this.method = ''
    this.path = ''
    this.contentType = undefined
    this.accept = undefined
    this.contentLength = undefined
    this.#scheme = ''
    this.#authority = undefined
    this.#host = undefined
    this.#bytes = 0
    this.#pseudoFields = 0
    this.#regularFields = 0
    this.#faulty = false
  }

  field({ name, value, kind }: Field): void {
    this.#bytes += name.length + value.length + ENTRY_OVERHEAD_BYTES
    if (this.#bytes > HEADER_LIST_BYTES_MAX) return
    if (kind >= KIND.METHOD && kind <= KIND.PATH) {
      // Each once, and before all others (RFC 9113 §8.3).
      const bit = 1 << kind
      if (this.#regularFields > 0 || (this.#pseudoFields & bit) !== 0) this.#faulty = true
      this.#pseudoFields |= bit
    } else this.#regularFields++
    switch (kind) {
      case KIND.METHOD:
        this.method = value
        return
      case KIND.PATH:
        this.path = value
        return
      case KIND.SCHEME:
        this.#scheme = value
        return
      case KIND.AUTHORITY:
        this.#authority = value
        return
      case KIND.HOST:
        if (this.#host !== undefined) this.#faulty = true
        this.#host = value
        return
      case KIND.CONTENT_TYPE:
        this.contentType = this.contentType === undefined ? value : `${this.contentType}, ${value}`
        return
      case KIND.ACCEPT:
        this.accept = this.accept === undefined ? value : `${this.accept}, ${value}`
        return
      case KIND.CONTENT_LENGTH:
        if (!DIGITS.test(value) || (this.contentLength ?? Number(value)) !== Number(value)) this.#faulty = true
        this.contentLength = Number(value)
        return
      case KIND.FAULTY:
        this.#faulty = true
        return
      case KIND.OTHER:
    }
  }

  get tooLarge(): boolean {
    return this.#bytes > HEADER_LIST_BYTES_MAX
  }

  /** A request that is none (RFC 9113 §8.1.1). Of one too large nothing is known. */
  get malformedRequest(): boolean {
    if (this.#faulty) return true
    if (this.tooLarge) return false
    // One server, one entity: two different names for it are a way to be misunderstood (RFC 9113 §8.3.1).
    if (this.#host !== undefined && this.#authority !== undefined && !sameHost(this.#host, this.#authority)) return true
    if (this.method === 'CONNECT') return this.path !== '' || this.#scheme !== '' || !this.#authority
    if (this.method === '' || this.#scheme === '') return true
    return !(this.path.startsWith('/') || (this.path === '*' && this.method === 'OPTIONS'))
  }

  /** Trailers have no pseudo-fields (RFC 9113 §8.1). */
  get malformedTrailers(): boolean {
    return this.#faulty || this.#pseudoFields !== 0
  }
}

function sameHost(a: string, b: string): boolean {
  return a === b || a.toLowerCase() === b.toLowerCase()
}
