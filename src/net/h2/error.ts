/** RFC 9113 §7. */
export const ERROR = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  SETTINGS_TIMEOUT: 0x4,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  CONNECT_ERROR: 0xa,
  ENHANCE_YOUR_CALM: 0xb,
  INADEQUATE_SECURITY: 0xc,
  HTTP_1_1_REQUIRED: 0xd,
} as const

export type ErrorName = keyof typeof ERROR

/** Ends the connection with GOAWAY (RFC 9113 §5.4.1). The message goes with it, for whoever debugs the client. */
export class ConnectionError extends Error {
  readonly code: ErrorName

  constructor(code: ErrorName, message: string) {
    super(message)
    this.code = code
  }
}

/** Ends one stream with RST_STREAM (RFC 9113 §5.4.2). */
export class StreamError extends Error {
  readonly code: ErrorName
  readonly streamId: number

  constructor(code: ErrorName, streamId: number) {
    super(`stream ${streamId}`)
    this.code = code
    this.streamId = streamId
  }
}
