/** One request and its response, without sockets: whoever listens turns bytes into these and back. */
export interface AcmeRequest {
  readonly method: string
  /** As received, relative to the base URL's origin; still percent-encoded, the query cut off. */
  readonly path: string
  readonly query: URLSearchParams
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
}

export interface AcmeResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[]>>
  readonly body: string
}

/** What a handler answers. Nonce, index link and content type are put on afterwards, for all alike. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | string[]>>
  readonly content?: { readonly type: string; readonly text: string }
}

export function jsonReply(status: number, value: unknown, headers: Reply['headers'] = {}): Reply {
  return { status, headers, content: { type: 'application/json', text: JSON.stringify(value) } }
}
