import { uint32 } from '../../dns/wire.ts'
import { ConnectionError } from './error.ts'
import { UINT31_MAX } from './frame.ts'
import {
  FRAME_BYTES_MAX,
  HEADER_LIST_BYTES_MAX,
  HEADER_TABLE_BYTES_MAX,
  SETTINGS_MAX,
  STREAM_WINDOW_BYTES,
  STREAMS_MAX,
} from './limits.ts'

/** RFC 9113 §6.5.2, RFC 9218 §2.1. */
export const SETTING = {
  HEADER_TABLE_SIZE: 0x1,
  ENABLE_PUSH: 0x2,
  MAX_CONCURRENT_STREAMS: 0x3,
  INITIAL_WINDOW_SIZE: 0x4,
  MAX_FRAME_SIZE: 0x5,
  MAX_HEADER_LIST_SIZE: 0x6,
  NO_RFC7540_PRIORITIES: 0x9,
} as const

const ENTRY_BYTES = 6
const FRAME_BYTES_MAX_MAX = 2 ** 24 - 1

/** What we announce. */
export const OUR_SETTINGS: readonly (readonly [id: number, value: number])[] = [
  [SETTING.HEADER_TABLE_SIZE, HEADER_TABLE_BYTES_MAX],
  [SETTING.ENABLE_PUSH, 0],
  [SETTING.MAX_CONCURRENT_STREAMS, STREAMS_MAX],
  [SETTING.INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES],
  [SETTING.MAX_HEADER_LIST_SIZE, HEADER_LIST_BYTES_MAX],
]

/** Those of a client's settings that change what we send. Absent: not in this frame. */
export interface ClientSettings {
  readonly headerTableBytes?: number
  readonly initialWindow?: number
}

/** Reads the payload of a SETTINGS frame, the last of several equal ones counts (RFC 9113 §6.5.3). Throws ConnectionError. */
export function readSettings(bytes: Uint8Array, start: number, end: number): ClientSettings {
  const count = (end - start) / ENTRY_BYTES
  if (!Number.isInteger(count)) throw new ConnectionError('FRAME_SIZE_ERROR', 'a SETTINGS frame with half an entry')
  if (count > SETTINGS_MAX) throw new ConnectionError('ENHANCE_YOUR_CALM', `${count} settings in one frame`)
  const found: { headerTableBytes?: number; initialWindow?: number } = {}
  for (let at = start; at < end; at += ENTRY_BYTES) {
    const id = (bytes[at]! << 8) | bytes[at + 1]!
    const value = uint32(bytes, at + 2)
    if (id === SETTING.HEADER_TABLE_SIZE) found.headerTableBytes = value
    else if (id === SETTING.INITIAL_WINDOW_SIZE) {
      if (value > UINT31_MAX) throw new ConnectionError('FLOW_CONTROL_ERROR', `an initial window of ${value} octets`)
      found.initialWindow = value
    } else if (id === SETTING.ENABLE_PUSH || id === SETTING.NO_RFC7540_PRIORITIES) {
      if (value > 1) throw new ConnectionError('PROTOCOL_ERROR', `setting ${id} is ${value}, which is neither 0 nor 1`)
    } else if (id === SETTING.MAX_FRAME_SIZE) {
      if (value < FRAME_BYTES_MAX || value > FRAME_BYTES_MAX_MAX)
        throw new ConnectionError('PROTOCOL_ERROR', `a maximum frame size of ${value} octets`)
    }
  }
  return found
}
