import { type Field, kindOf, kindOfName } from './field.ts'

/** RFC 7541 appendix A: `name` or `name: value`, from index 1. */
const LINES = `:authority
:method: GET
:method: POST
:path: /
:path: /index.html
:scheme: http
:scheme: https
:status: 200
:status: 204
:status: 206
:status: 304
:status: 400
:status: 404
:status: 500
accept-charset
accept-encoding: gzip, deflate
accept-language
accept-ranges
accept
access-control-allow-origin
age
allow
authorization
cache-control
content-disposition
content-encoding
content-language
content-length
content-location
content-range
content-type
cookie
date
etag
expect
expires
from
host
if-match
if-modified-since
if-none-match
if-range
if-unmodified-since
last-modified
link
location
max-forwards
proxy-authenticate
proxy-authorization
range
referer
refresh
retry-after
server
set-cookie
strict-transport-security
transfer-encoding
user-agent
vary
via
www-authenticate`

/** Index 1 is at place 0. */
export const STATIC_TABLE: readonly Field[] = LINES.split('\n').map((line) => {
  const [name = '', value = ''] = line.split(/(?<=.): /, 2)
  return { name, value, kind: kindOf(name, value, kindOfName(name)) }
})

/** The lowest index of each name. */
export const STATIC_NAME_INDEX: ReadonlyMap<string, number> = new Map(
  STATIC_TABLE.map(({ name }, place) => [name, place + 1] as const).toReversed(),
)
