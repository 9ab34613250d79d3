import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, it } from 'vitest'

/**
 * What the forwarder promises, by the ids of our crib sheet of encrypted DNS, with where the promise comes from. Each
 * has to be in the name of a test, which then says that it is kept.
 */
const PROMISES: Readonly<Record<string, string>> = {
  'SVCB-1': 'the encoder sorts keys and refuses duplicates (RFC 9460 §2.2)',
  'SVCB-2': 'the decoder rejects unsorted keys, short values, trailing octets (RFC 9460 §2.2)',
  'SVCB-3': 'h2 and h3 without dohpath cannot be built (RFC 9461 §5)',
  'SVCB-4': 'forwarded SVCB records with unknown keys arrive byte for byte (RFC 9460 §4.3)',
  'DDR-1': 'the SVCB answer, byte for byte, while the certificate is valid (RFC 9462 §4)',
  'DDR-2': 'NODATA for all else at or below resolver.arpa, never NXDOMAIN, never upstream (RFC 9462 §6.1, §6.4)',
  'DDR-3': 'NODATA with a minimum of 60 s without a valid certificate (RFC 9462 §4)',
  'DDR-4': 'TLS without SNI gets the certificate, over DoT and DoH (RFC 9462 §6.3)',
  'DDR-5': 'an address as :authority is served (RFC 9462 §6.3)',
  'DOT-1': 'a fast answer overtakes a slow one (RFC 7766 §7)',
  'DOT-2': 'length and message leave in one write (RFC 7766 §8)',
  'DOT-3': 'a query in writes of one octet is answered (RFC 7766 §8)',
  'DOT-4': 'keepalive in units of 100 ms, and not over UDP (RFC 7828)',
  'DOT-5': 'ALPN none or dot; alert 120 for foreign ones (RFC 7301 §3.2)',
  'DOT-6': 'idle connections end at the announced time, with close_notify (RFC 7858 §3.4)',
  'DOH-1': 'GET and POST, HTTP/2 and HTTP/1.1 (RFC 8484 §4.1)',
  'DOH-2': '400, 405, 413, 415 for what is no DoH request (RFC 8484 §6)',
  'DOH-3': 'NXDOMAIN and SERVFAIL are 200 (RFC 8484 §4.2.1)',
  'DOH-4': 'max-age from the smallest TTL or the SOA; no-store for SERVFAIL (RFC 8484 §5.1)',
  'DOH-5': 'the EDNS size truncates nothing (RFC 8484 §6)',
  'PAD-1': 'padding to 128 and 468, encrypted and with EDNS only (RFC 7830 §4, RFC 8467 §4.1)',
  'FWD-1': 'unknown flags, types and classes pass (RFC 5625 §4)',
  'FWD-2': 'TC over UDP leads to TCP (RFC 7766 §5)',
  'FWD-3': 'too large for UDP: TC, OPT kept, 1232 octets at most (RFC 6891 §6.2)',
  'FWD-4': 'BADVERS; FORMERR for two OPT records; a size below 512 is 512 (RFC 6891 §6.1, §6.2)',
  'FWD-5': 'letter case of the question comes back, also out of the cache',
  'FWD-6': 'client subnet and cookies never reach an upstream (RFC 7871, RFC 7873)',
  'FWD-7': 'special names cause no packet to an upstream',
  'FWD-8': 'other opcodes: NOTIMP; two questions: FORMERR (RFC 9619)',
  'CACHE-1': 'failures are remembered 1 s to 5 min; three sends per server and transport (RFC 9520)',
  'CACHE-2': 'negative TTL is the smaller of SOA TTL and MINIMUM, and counts down (RFC 2308 §5)',
  'CACHE-3': 'stale answers after 1.8 s with TTL 30 and EDE 3, with an end (RFC 8767)',
  'CACHE-4': 'DO=1 is not answered from a DO=0 entry (RFC 4035)',
  'CACHE-5': 'nothing is asked below a cached NXDOMAIN (RFC 8020)',
  'SEC-1': 'clients from outside get nothing or REFUSED on every transport (RFC 5625 §6.2)',
  'SEC-2': 'private addresses from outside are dropped, our own name keeps them',
  'SEC-3': 'forged UDP answers are ignored, the real one is used (RFC 5452 §9)',
  'UP-1': 'an upstream that does not prove its name gets no packet in clear (RFC 8310 §5)',
  'UP-2': 'with a wrong clock and no DNS, a pinned upstream is reached',
}

/** Of the same list, and not the forwarder's: what our routers say in DHCP and RA, and what clients have to do. */
const OF_OTHERS: Readonly<Record<string, string>> = {
  'DNR-1': 'discovery: the DHCPv4 option',
  'DNR-2': 'discovery: the DHCPv6 option',
  'DNR-3': 'discovery: the RA option',
  'DNR-4': 'discovery: name-only forms',
  'DNR-5': 'discovery: long DHCPv4 options',
  'DNR-6': 'discovery: what is refused in the settings',
  'DNR-7': 'discovery: lifetimes in RA',
  'DDR-6': 'a promise of clients; we keep it where we are one (upstream/upgrade.ts)',
  'RES-1': 'discovery: RESINFO; the forwarder only does not forward it',
}

/** What a delegation server has to refuse at least, as our crib sheet of ACME words it (RFC 9115, RFC 8739). */
const REFUSALS: readonly string[] = [
  'foreign delegation URL (403 unknownDelegation)',
  'removed delegation after order creation',
  'missing GET flag',
  'top-level flag in a STAR order',
  'extra identifier',
  'extra SAN',
  'IP SAN',
  'extra extension',
  'challengePassword',
  'wrong curve',
  'right curve wrong hash',
  'RSA 2047/2049/3072 against 2048',
  'CN not in SAN',
  'subject field not in template',
  '`**` field empty',
  'CSR key = account key',
  'finalize twice',
  'finalize by another account',
  'CA without flag',
  'CA echoing false',
  'CA order invalid',
  'cancel twice',
  'revoke of a STAR certificate by certificate key',
  'GET and HEAD of star-certificate before negotiation, after cancel, after end-date',
  'delegation list with three pages',
  'cname-map without trailing dot refused at configuration',
]

const TESTS = import.meta.dirname ?? dirname(new URL(import.meta.url).pathname)

/** `it('...')`, `describe('...')` and their `.each` forms, with the table of the latter. Comments do not count. */
function namesOfTests(): string {
  return textsOfTests()
    .flatMap((text) => [...text.matchAll(/['"`][^'"`\n]*\b[A-Z]+-\d+(?:, [A-Z]+-\d+)*\b[^\n]*/g)].map(String))
    .join('\n')
}

/** Without comments. */
function textsOfTests(): string[] {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter(
    (file) => file.endsWith('.test.ts') && file !== 'requirements.test.ts',
  )
  return files.map((file) => readFileSync(join(TESTS, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ''))
}

describe('every refusal of a delegation server has a test of its name', () => {
  const texts = textsOfTests().join('\n')

  it.each(REFUSALS)('%s', (refusal) => {
    expect([`it('${refusal}`, `)('${refusal}`, `\n    '${refusal}`].some((call) => texts.includes(call))).toBe(true)
  })
})

describe('every promise has a test', () => {
  const names = namesOfTests()

  it.each(Object.entries(PROMISES))('%s: %s', (id) => {
    expect(names).toMatch(new RegExp(`['"\`;, ]${id}\\b`))
  })

  it('and every id in a test is a promise, or somebody else’s', () => {
    const found = new Set(names.match(/\b(?:SVCB|DNR|DDR|RES|DOT|DOH|PAD|FWD|CACHE|SEC|UP)-\d+\b/g))
    const unknown = [...found].filter((id) => !(id in PROMISES) && !(id in OF_OTHERS))
    expect(unknown).toEqual([])
    expect(Object.keys(OF_OTHERS).filter((id) => id in PROMISES)).toEqual([])
  })
})
