/** Every bound of an HTTP/2 connection, with its reason. What breaks one ends the stream or the connection it came on. */

/** Requests at work at the same time, those the client has reset included. RFC 9113 §6.5.2 recommends at least 100. */
export const STREAMS_MAX = 128
/** The smallest a peer may not refuse (RFC 9113 §4.2); a DNS query needs a hundredth of it. */
export const FRAME_BYTES_MAX = 16_384
/** Names, values and 32 octets each (RFC 9113 §6.5.2). A GET of the longest query this side of a TCP segment fits tenfold. */
export const HEADER_LIST_BYTES_MAX = 16_384
/** One header block as sent. Twice the list: more can only be repetition or a Huffman code nobody would choose. */
export const HEADER_BLOCK_BYTES_MAX = 32_768
/** Frames after HEADERS for one block, empty ones included (CVE-2024-27316 and its kin). Two would do for the bytes above. */
export const CONTINUATIONS_MAX = 8
/** What clients may assume before they know our settings (RFC 9113 §6.5.2), so nothing has to change under way. */
export const HEADER_TABLE_BYTES_MAX = 4_096
/** Settings in one frame: there are about ten (CVE-2020-11080). */
export const SETTINGS_MAX = 32

/** A whole DNS message and generous padding, so that no stream ever needs a WINDOW_UPDATE of ours. */
export const STREAM_WINDOW_BYTES = 131_072
/** Request bodies of one connection held at the same time: the window opens again when they are done with. */
export const CONNECTION_WINDOW_BYTES = 262_144
/** Answers of one connection waiting for its flow-control window. */
export const QUEUED_BYTES_MAX = 1 << 20

/** From a connection's start, or the first octet of a frame or header block, to its end. */
export const HEAD_MS_MAX = 5_000
/** From a request's head to the end of its body. */
export const BODY_MS_MAX = 10_000
/** From an answer's being ready to its last octet being let through: who opens no window is not waiting for it. */
export const RESPONSE_MS_MAX = 20_000
/** From the last request to the end of the connection. PINGs are no requests. */
export const IDLE_MS = 60_000
/** From our GOAWAY to the cut, for a client that does not close. */
export const LINGER_MS = 2_000
/** How often the times above are looked at. */
export const SWEEP_MS = 1_000

/** Ended streams whose way of ending is remembered: as many as may be under way at once. */
export const CLOSED_STREAMS_REMEMBERED = STREAMS_MAX

/** Frames that cost us work and bring no request: a burst, and what comes back per second. */
export interface Rate {
  readonly burst: number
  readonly perSecond: number
}
/** Streams reset by the client (CVE-2023-44487) or by us because of it (CVE-2025-8671). A closing tab resets all it has. */
export const RESETS: Rate = { burst: 200, perSecond: 20 }
/** Each is answered. Clients ping to see whether the line still stands, at most every few seconds. */
export const PINGS: Rate = { burst: 50, perSecond: 5 }
/** Each is answered. Clients send one, some a second one when their user changes tabs. */
export const SETTINGS_FRAMES: Rate = { burst: 20, perSecond: 1 }
/** WINDOW_UPDATE, PRIORITY, DATA without data and frames of unknown type. Requests earn more of them. */
export const QUIET_FRAMES: Rate = { burst: 1_000, perSecond: 100 }
/** A client that opens both windows after every answer, and says what it thinks of priorities, stays below. */
export const QUIET_FRAMES_PER_REQUEST = 4
