/** Code points of the IANA DNS parameters registry. Names are the registry's mnemonics. */

export const TYPE = {
  A: 1,
  NS: 2,
  CNAME: 5,
  SOA: 6,
  NULL: 10,
  PTR: 12,
  HINFO: 13,
  MX: 15,
  TXT: 16,
  RP: 17,
  SIG: 24,
  KEY: 25,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  DS: 43,
  SSHFP: 44,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  SPF: 99,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  ANY: 255,
  URI: 256,
  CAA: 257,
  RESINFO: 261,
} as const

/** Type number → mnemonic. */
export const TYPE_NAME: Readonly<Record<number, string>> = namesOf(TYPE)

const TYPE_NUMBER: ReadonlyMap<string, number> = new Map(Object.entries(TYPE))

/** The mnemonic, or TYPE123 for what has none here (RFC 3597 §5). */
export function typeName(type: number): string {
  return TYPE_NAME[type] ?? `TYPE${type}`
}

/** Undefined when the text is neither a mnemonic nor TYPE0 to TYPE65535. Letter case does not matter. */
export function typeNumber(text: string): number | undefined {
  const upper = text.toUpperCase()
  if (TYPE_NUMBER.has(upper)) return TYPE_NUMBER.get(upper)
  const digits = /^TYPE(\d{1,5})$/.exec(upper)?.[1]
  return digits !== undefined && Number(digits) <= 0xffff ? Number(digits) : undefined
}

export const CLASS = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const

const CLASS_NAME = namesOf(CLASS)

export function className(value: number): string {
  return CLASS_NAME[value] ?? `CLASS${value}`
}

export const OPCODE = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5, DSO: 6 } as const

/** 16 means BADSIG inside a TSIG record (RFC 8945 §3) and BADVERS anywhere else (RFC 6891 §9). */
export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  DSOTYPENI: 11,
  BADVERS: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADMODE: 19,
  BADNAME: 20,
  BADALG: 21,
  BADTRUNC: 22,
  BADCOOKIE: 23,
} as const

const RCODE_NAME = namesOf(RCODE)

export function rcodeName(rcode: number): string {
  return RCODE_NAME[rcode] ?? `RCODE${rcode}`
}

export const EDNS_OPTION = {
  NSID: 3,
  CLIENT_SUBNET: 8,
  EXPIRE: 9,
  COOKIE: 10,
  TCP_KEEPALIVE: 11,
  PADDING: 12,
  CHAIN: 13,
  EXTENDED_ERROR: 15,
  REPORT_CHANNEL: 18,
  ZONEVERSION: 19,
} as const

/** Info codes of extended DNS errors (RFC 8914 §5.2 and later additions to its registry). */
export const EXTENDED_ERROR = {
  OTHER: 0,
  UNSUPPORTED_DNSKEY_ALGORITHM: 1,
  UNSUPPORTED_DS_DIGEST: 2,
  STALE_ANSWER: 3,
  FORGED_ANSWER: 4,
  DNSSEC_INDETERMINATE: 5,
  DNSSEC_BOGUS: 6,
  SIGNATURE_EXPIRED: 7,
  SIGNATURE_NOT_YET_VALID: 8,
  DNSKEY_MISSING: 9,
  RRSIGS_MISSING: 10,
  NO_ZONE_KEY_BIT: 11,
  NSEC_MISSING: 12,
  CACHED_ERROR: 13,
  NOT_READY: 14,
  BLOCKED: 15,
  CENSORED: 16,
  FILTERED: 17,
  PROHIBITED: 18,
  STALE_NXDOMAIN: 19,
  NOT_AUTHORITATIVE: 20,
  NOT_SUPPORTED: 21,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
  INVALID_DATA: 24,
  SIGNATURE_EXPIRED_BEFORE_VALID: 25,
  TOO_EARLY: 26,
  UNSUPPORTED_NSEC3_ITERATIONS: 27,
  UNABLE_TO_CONFORM: 28,
  SYNTHESIZED: 29,
  INVALID_QUERY_TYPE: 30,
} as const

const EXTENDED_ERROR_NAME = namesOf(EXTENDED_ERROR)

/** `STALE_ANSWER` as people read it: "stale answer". */
export function extendedErrorName(code: number): string {
  return EXTENDED_ERROR_NAME[code]?.toLowerCase().replaceAll('_', ' ') ?? `extended error ${code}`
}

function namesOf(table: Readonly<Record<string, number>>): Readonly<Record<number, string>> {
  return Object.fromEntries(Object.entries(table).map(([name, code]) => [code, name]))
}
