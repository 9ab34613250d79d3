import { open } from 'node:fs/promises'
import { Fault } from '../../../core/fault.ts'
import { type LineKind, type LineRule, readLine } from './read-line.ts'

/** Worked off in one go: some hundred lines, which take milliseconds even before they are compiled. Reading the next chunk lets others run. */
const CHUNK_BYTES = 16 * 1024
/** No name is that long; a longer line is a pattern, or no list. */
const LINE_BYTES_MAX = 4096
/** Ten times the largest lists there are; more is a mistake, and would take minutes. */
const FILE_BYTES_MAX = 512 * 1024 * 1024

const LINE_FEED = 0x0a

export type LineCounts = Readonly<Record<LineKind, number>> & { readonly names: number }

/** The octets are valid until the callback returns; lines are counted from 1. */
export type TakeRule = (octets: Uint8Array, rule: LineRule, line: number) => void

/**
 * Reads a list in chunks, whatever its size. Throws LIST_UNREADABLE for a file that cannot be read, or that is no list: one
 * with a zero octet, or with more malformed lines than rules (a web page saved by a download that failed).
 */
export async function readList(path: string, take: TakeRule, signal?: AbortSignal): Promise<LineCounts> {
  const counts = { rule: 0, comment: 0, unsupported: 0, international: 0, malformed: 0, names: 0 }
  let line = 0
  let octets: Uint8Array
  const takeRule = (rule: LineRule): void => {
    counts.names++
    take(octets, rule, line)
  }
  const takeLine = (start: number, end: number): void => {
    line++
    if (end - start > LINE_BYTES_MAX) counts.unsupported++
    else counts[readLine(octets, start, end, takeRule)]++
  }

  const file = await open(path).catch((error: unknown) => {
    throw new Fault('LIST_UNREADABLE', `${path} cannot be read`, { path }, error)
  })
  try {
    const buffer = Buffer.allocUnsafeSlow(CHUNK_BYTES + LINE_BYTES_MAX + 1)
    octets = buffer
    /** The beginning of a line whose end is still to come. */
    let held = 0
    let isTooLong = false
    for (let total = 0; ; ) {
      signal?.throwIfAborted()
      const { bytesRead } = await file.read(buffer, held, CHUNK_BYTES, null)
      total += bytesRead
      if (total > FILE_BYTES_MAX) throw damaged(path, `has more than ${FILE_BYTES_MAX} octets`)
      const end = held + bytesRead
      if (buffer.subarray(held, end).includes(0)) throw damaged(path, 'has a zero octet: it is no text')
      let start = total === bytesRead && hasByteOrderMark(buffer, bytesRead) ? 3 : 0
      for (
        let feed = buffer.indexOf(LINE_FEED, held);
        feed >= 0 && feed < end;
        feed = buffer.indexOf(LINE_FEED, start)
      ) {
        if (isTooLong) {
          line++
          counts.unsupported++
          isTooLong = false
        } else takeLine(start, feed)
        start = feed + 1
      }
      if (bytesRead === 0) {
        if (isTooLong) counts.unsupported++
        else if (end > start) takeLine(start, end)
        break
      }
      held = end - start
      if (held > LINE_BYTES_MAX) {
        isTooLong = true
        held = 0
      } else if (isTooLong) held = 0
      else buffer.copyWithin(0, start, end)
    }
  } catch (error) {
    if (error instanceof Fault || signal?.aborted) throw error
    throw new Fault('LIST_UNREADABLE', `${path} cannot be read`, { path }, error)
  } finally {
    await file.close()
  }
  if (counts.malformed > counts.rule)
    throw damaged(path, `has ${counts.malformed} lines that are no rules, and ${counts.rule} that are`)
  return counts
}

function damaged(path: string, what: string): Fault {
  return new Fault('LIST_UNREADABLE', `${path} ${what}`, { path })
}

function hasByteOrderMark(octets: Uint8Array, length: number): boolean {
  return length >= 3 && octets[0] === 0xef && octets[1] === 0xbb && octets[2] === 0xbf
}
