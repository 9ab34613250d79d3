import { Misread, type Token } from './zone-tokens.ts'

/** The octets of a character-string: `\DDD` is an octet, `\x` is x, all else is UTF-8 (RFC 1035 §5.1). */
export function charString(token: Token): Uint8Array {
  const parts = token.text.matchAll(/\\(\d{3})|\\(.)|([^\\]+)/gsu)
  return Buffer.concat(
    [...parts].map(([, digits, escaped, plain]) => {
      if (digits === undefined) return Buffer.from(escaped ?? plain ?? '', 'utf8')
      if (Number(digits) > 0xff) throw new Misread(token, `\\${digits} is no octet`, 'they end at \\255')
      return Buffer.of(Number(digits))
    }),
  )
}

/** At most 2^32-1. A time may have units: `1h30m` is 5400, and ends at 2^31-1 (RFC 2181 §8). */
export function numberOf(text: string, kind: 'number' | 'time' = 'number'): number | undefined {
  if (/^\d{1,10}$/.test(text)) return Number(text) <= MAX[kind] ? Number(text) : undefined
  if (kind === 'number' || !/^(?:\d{1,10}[smhdw])+$/i.test(text) || text.length > TIME_CHARACTERS_MAX) return undefined
  const parts = text.toLowerCase().matchAll(/(\d+)([smhdw])/g)
  const seconds = [...parts].reduce((sum, [, digits, unit]) => sum + Number(digits) * SECONDS[unit!]!, 0)
  return seconds <= MAX.time ? seconds : undefined
}
const MAX = { number: 0xffff_ffff, time: 0x7fff_ffff }
const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800 }
/** Five units with all their digits. */
const TIME_CHARACTERS_MAX = 55
