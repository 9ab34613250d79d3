import { CLASS, TYPE } from '../../../dns/codes.ts'
import { skipPlainName } from '../../../dns/name.ts'
import { RecordWalker, type Section } from '../../../dns/records.ts'
import { HEADER_BYTES, uint16 } from '../../../dns/wire.ts'
import { isPrivateIpv4, isPrivateIpv6 } from './private-address.ts'

const IPV4_BYTES = 4
const IPV6_BYTES = 16
/** SvcParamKeys (RFC 9460 §14.3.2). */
const IPV4HINT = 4
const IPV6HINT = 6

/** In which section the first private address is, of those a client may use: authority records have none. */
export function findPrivateAddress(
  wire: Uint8Array,
  questionEnd: number,
  loopbackAllowed: boolean,
): Exclude<Section, 'authority'> | undefined {
  if (uint16(wire, 6) === 0 && uint16(wire, 10) === 0) return undefined
  const records = new RecordWalker(wire, questionEnd)
  while (records.next()) {
    const { section } = records
    if (section !== 'authority' && isPrivateRecord(records, loopbackAllowed)) return section
  }
  return undefined
}

/** The answer without its additional section, which is optional (RFC 2181 §9). */
export function withoutAdditionals(wire: Uint8Array, questionEnd: number): Uint8Array {
  const records = new RecordWalker(wire, questionEnd)
  let end = questionEnd
  while (records.next() && records.section !== 'additional') end = records.end
  const cut = wire.slice(0, end)
  cut.fill(0, HEADER_BYTES - 2, HEADER_BYTES)
  return cut
}

function isPrivateRecord(records: RecordWalker, loopbackAllowed: boolean): boolean {
  const { wire, type, rdataStart, rdataLength } = records
  if (records.class !== CLASS.IN) return false
  if (type === TYPE.A) return rdataLength === IPV4_BYTES && isPrivateIpv4(wire, rdataStart, loopbackAllowed)
  if (type === TYPE.AAAA) return rdataLength === IPV6_BYTES && isPrivateIpv6(wire, rdataStart, loopbackAllowed)
  if (type === TYPE.HTTPS || type === TYPE.SVCB) return hasPrivateHint(wire, rdataStart, records.end, loopbackAllowed)
  return false
}

/** Priority, target, then key, length and value of each parameter (RFC 9460 §2.2). Malformed ones end the walk: no client may use them. */
function hasPrivateHint(wire: Uint8Array, start: number, end: number, loopbackAllowed: boolean): boolean {
  let at = skipPlainName(wire, start + 2)
  if (at < 0) return false
  while (at + 4 <= end) {
    const key = uint16(wire, at)
    const valueStart = at + 4
    const valueEnd = valueStart + uint16(wire, at + 2)
    if (valueEnd > end) return false
    if (key === IPV4HINT) {
      for (let from = valueStart; from + IPV4_BYTES <= valueEnd; from += IPV4_BYTES)
        if (isPrivateIpv4(wire, from, loopbackAllowed)) return true
    } else if (key === IPV6HINT) {
      for (let from = valueStart; from + IPV6_BYTES <= valueEnd; from += IPV6_BYTES)
        if (isPrivateIpv6(wire, from, loopbackAllowed)) return true
    }
    at = valueEnd
  }
  return false
}
