// The questions of the benchmark and what a right answer to them is. Every server has the same names in its cache.

/** Names in the cache. */
export const NAMES = 500
/** Address records each of them has. */
export const RECORDS = 2
export const TTL_S = 86_400

const HEADER_BYTES = 12
const OPT = Buffer.from('00002904d0000000000000', 'hex') // 1232 octets, no DO bit, no options

/** One message per name: A, IN, RD and an OPT record, as a stub sends it. The id is left 0. */
export const QUERIES = Array.from({ length: NAMES }, (_, index) => {
  const labels = [`host-${String(index).padStart(4, '0')}`, 'bench', 'example', 'net']
  const name = Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label)])),
    Buffer.of(0),
  ])
  return Buffer.concat([Buffer.from('000001000001000000000001', 'hex'), name, Buffer.from('00010001', 'hex'), OPT])
})

/** Three characters that another process of this hour has not. */
export function newPrefix() {
  return ((process.hrtime.bigint() / 1_000_000n) % 46_656n).toString(36).padStart(3, '0')
}

/** A question nobody asked before, in this run or another: `prefix` is of this process, `number` counts. */
export function newQuery(prefix, number) {
  const query = Buffer.from(QUERIES[0])
  query.write((prefix + number.toString(36).padStart(6, '0')).slice(0, 9), HEADER_BYTES + 1, 'latin1')
  return query
}

/** Ids are given out in turn, so the id says which name was asked for. */
export function queryOf(id) {
  return QUERIES[id % NAMES]
}

/** A response without error or truncation, to this question, with all records. The id is the caller's to check. */
export function isRight(wire, query) {
  const end = questionEnd(query)
  return (
    wire.length > end &&
    (wire[2] & 0x82) === 0x80 &&
    (wire[3] & 0x0f) === 0 &&
    wire[6] === 0 &&
    wire[7] === RECORDS &&
    wire.compare(query, HEADER_BYTES, end, HEADER_BYTES, end) === 0
  )
}

/** All queries have the same length, and the OPT record last. */
export function questionEnd(query) {
  return query.length - OPT.length
}
