import { fromHex } from '../../core/bytes.ts'
import { putUint16 } from '../wire.ts'
import { isKnownAlgorithm } from './algorithm.ts'
import { isZoneKey, parseDnskey } from './dnskey.ts'
import { type Ds, dsOf, isKnownDigest, parseDs } from './ds.ts'
import { type CanonicalName, canonicalName } from './name.ts'

/** A key that is believed without anyone's signature, by its digest. */
export interface TrustAnchor {
  readonly zone: CanonicalName
  readonly ds: Ds
}

/** The keys of the root, as IANA publishes them in root-anchors.xml: KSK-2017 and KSK-2024. */
export const ROOT_ANCHORS: readonly string[] = [
  '. DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D',
  '. DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16',
]

/**
 * One line of a zone file: `example. [TTL] [IN] DS 12345 13 2 ABCD…` or `example. [TTL] [IN] DNSKEY 257 3 13 base64…`;
 * parts may be separated by spaces as dig and keymgr print them. A string says what is wrong with it.
 */
export function parseAnchor(line: string): TrustAnchor | string {
  const fields = line.trim().split(/\s+/)
  const zone = canonicalName(fields.shift() ?? '')
  if (zone === undefined) return 'it does not begin with the name of a zone'
  if (/^\d+$/.test(fields[0] ?? '')) fields.shift()
  if (fields[0]?.toUpperCase() === 'IN') fields.shift()
  const type = fields.shift()?.toUpperCase()
  if (type !== 'DS' && type !== 'DNSKEY') return 'it is neither DS nor DNSKEY'
  const numbers = fields.splice(0, 3).map((text) => (/^\d{1,5}$/.test(text) ? Number(text) : Number.NaN))
  const [first = Number.NaN, second = Number.NaN, third = Number.NaN] = numbers
  if (!(first <= 0xffff && second <= 0xff && third <= 0xff)) return `after ${type} three numbers are expected`
  const octets = type === 'DS' ? fromHex(fields.join('')) : fromBase64(fields.join(''))
  if (!octets || octets.length === 0) return type === 'DS' ? 'the digest is not hexadecimal' : 'the key is not base64'
  const rdata = new Uint8Array(4 + octets.length)
  putUint16(rdata, 0, first)
  rdata.set([second, third], 2)
  rdata.set(octets, 4)
  return type === 'DS' ? dsAnchor(zone, rdata) : keyAnchor(zone, rdata)
}

function dsAnchor(zone: CanonicalName, rdata: Uint8Array): TrustAnchor | string {
  if (!isKnownAlgorithm(rdata[2]!)) return `algorithm ${rdata[2]} is not supported`
  if (!isKnownDigest(rdata[3]!)) return `digest type ${rdata[3]} is not supported`
  const ds = parseDs(rdata)
  return ds ? { zone, ds } : 'the digest has the wrong length'
}

function keyAnchor(zone: CanonicalName, rdata: Uint8Array): TrustAnchor | string {
  const key = parseDnskey(rdata)!
  if (!isZoneKey(key)) return 'the key is no zone key'
  if (!isKnownAlgorithm(key.algorithm)) return `algorithm ${key.algorithm} is not supported`
  return key.publicKey ? { zone, ds: dsOf(zone, key) } : 'the key cannot be used'
}

function fromBase64(text: string): Uint8Array | undefined {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}
