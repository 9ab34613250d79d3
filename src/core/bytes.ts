/** Small byte helpers shared by the codecs. Buffer is used where it is faster, never required of a caller. */

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return Buffer.compare(a, b) === 0
}

export function toHex(bytes: Uint8Array): string {
  return bufferOver(bytes).toString('hex')
}

/** Undefined when the text is anything but an even number of hex digits. */
export function fromHex(text: string): Uint8Array | undefined {
  return text.length % 2 === 0 && /^[0-9a-f]*$/i.test(text) ? Buffer.from(text, 'hex') : undefined
}

export function toBase64url(bytes: Uint8Array): string {
  return bufferOver(bytes).toString('base64url')
}

/** Strict RFC 4648 §5 without padding: undefined for padding, white space, other characters, or a length no encoder makes. */
export function fromBase64url(text: string): Uint8Array | undefined {
  return text.length % 4 !== 1 && /^[\w-]*$/.test(text) ? Buffer.from(text, 'base64url') : undefined
}

function bufferOver(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
