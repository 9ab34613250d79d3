/** One field line of a request, judged once: those from a table are judged when they enter it. */
export interface Field {
  readonly name: string
  readonly value: string
  readonly kind: FieldKind
}

/** What a field means to us; whatever is not named here is carried past. */
export const KIND = {
  OTHER: 0,
  /** A name or value no HTTP message may have (RFC 9113 §8.2.1, §8.2.2, §8.3). */
  FAULTY: 1,
  METHOD: 2,
  SCHEME: 3,
  AUTHORITY: 4,
  PATH: 5,
  HOST: 6,
  CONTENT_LENGTH: 7,
  CONTENT_TYPE: 8,
  ACCEPT: 9,
} as const
export type FieldKind = (typeof KIND)[keyof typeof KIND]

const KIND_OF_NAME: ReadonlyMap<string, FieldKind> = new Map([
  [':method', KIND.METHOD],
  [':scheme', KIND.SCHEME],
  [':authority', KIND.AUTHORITY],
  [':path', KIND.PATH],
  ['host', KIND.HOST],
  ['content-length', KIND.CONTENT_LENGTH],
  ['content-type', KIND.CONTENT_TYPE],
  ['accept', KIND.ACCEPT],
  // They speak of one connection, and HTTP/2 has its own words for that (RFC 9113 §8.2.2).
  ['connection', KIND.FAULTY],
  ['proxy-connection', KIND.FAULTY],
  ['keep-alive', KIND.FAULTY],
  ['transfer-encoding', KIND.FAULTY],
  ['upgrade', KIND.FAULTY],
])
/** A token (RFC 9110 §5.6.2) without capital letters. It has no colon, so a pseudo-field we do not know is faulty too. */
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/

export function kindOfName(name: string): FieldKind {
  return KIND_OF_NAME.get(name) ?? (NAME.test(name) ? KIND.OTHER : KIND.FAULTY)
}

/** The one connection field that is allowed, with one value (RFC 9113 §8.2.2). */
export function kindOf(name: string, value: string, kindOfItsName: FieldKind): FieldKind {
  return name === 'te' && value !== 'trailers' ? KIND.FAULTY : kindOfItsName
}

/** No control characters, and no blanks around it (RFC 9113 §8.2.1, RFC 9110 §5.5). */
export function isFieldValue(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end) return true
  if (isBlank(bytes[start]!) || isBlank(bytes[end - 1]!)) return false
  for (let at = start; at < end; at++) {
    const octet = bytes[at]!
    if ((octet < 0x20 && octet !== 0x09) || octet === 0x7f) return false
  }
  return true
}

function isBlank(octet: number): boolean {
  return octet === 0x20 || octet === 0x09
}
