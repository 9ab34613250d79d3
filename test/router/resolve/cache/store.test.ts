import { describe, expect, it } from 'vitest'
import { prepareAnswer } from '../../../../src/dns/answer.ts'
import type { ExtendedError } from '../../../../src/dns/edns.ts'
import { MessageView } from '../../../../src/dns/view.ts'
import { AnswerBuffer, HeldAnswer } from '../../../../src/router/resolve/cache/held-answer.ts'
import { QuestionHash } from '../../../../src/router/resolve/cache/question-hash.ts'
import { AnswerStore } from '../../../../src/router/resolve/cache/store.ts'
import { randomNumbers } from '../../../dns/hostile.ts'
import { queryWire, responseWire } from '../../../support/query.ts'

const HASH = new QuestionHash(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))

function storeOf(bytesMax: number, isWorthless: (held: HeldAnswer) => boolean = () => false) {
  const store = new AnswerStore({ bytesMax, hash: HASH, isWorthless })
  const held = new HeldAnswer()
  const buffer = new AnswerBuffer()
  const put = (name: string, records = 1, { storedMs = 0, extendedErrors = [] as readonly ExtendedError[] } = {}) => {
    const addresses = Array.from({ length: records }, (_, index) => `192.0.2.${index % 256}`)
    const prepared = prepareAnswer(responseWire(queryWire(name), addresses))!
    store.put(prepared, { variant: 0, isDenial: false, storedMs, lifetimeS: 300, source: 7, extendedErrors })
    return prepared.wire
  }
  const find = (name: string): HeldAnswer | undefined => {
    const wire = queryWire(name)
    return store.find(wire, 12, wire.length - 4, 1, 0, held) ? held : undefined
  }
  const read = (name: string): Uint8Array | undefined => {
    const found = find(name)
    const view = MessageView.over(queryWire(name, 1, { id: 0 }))!
    return found && buffer.octets.slice(0, found.write(buffer, view, 0))
  }
  return { store, put, find, read }
}

/** As it was prepared, but for the id of the query. */
function withIdZero(wire: Uint8Array): Uint8Array {
  return Uint8Array.from(wire, (octet, index) => (index < 2 ? 0 : octet))
}

describe('the store', () => {
  it('gives back what it was given, octet for octet, with everything beside it', () => {
    const { put, find, read } = storeOf(1 << 20)
    const extendedErrors = [{ code: 3, text: 'grüße' }, { code: 18 }]
    const wire = put('a.example', 5, { storedMs: 12_345.5, extendedErrors })
    expect(read('a.example')).toEqual(withIdZero(wire))
    expect(find('A.EXAMPLE')).toMatchObject({ storedMs: 12_345.5, lifetimeS: 300, source: 7, hits: 0, usedS: 12 })
    expect(find('a.example')!.extendedErrors).toEqual(extendedErrors)
    expect(find('b.example')).toBeUndefined()
  })

  it('holds one answer for a question: the last, longer or shorter', () => {
    const { store, put, read } = storeOf(1 << 20)
    for (const records of [3, 3, 1, 9, 2]) {
      const wire = put('a.example', records)
      expect(read('a.example')).toEqual(withIdZero(wire))
      expect(store.entries).toBe(1)
    }
    expect([...store.all()].length).toBe(1)
  })

  it('takes memory as it fills, and none at first', () => {
    const { store, put } = storeOf(16 << 20)
    expect(store.allocatedBytes).toBeLessThan(10_000)
    put('a.example')
    expect(store.allocatedBytes).toBeLessThan(150_000)
    store.clear()
    expect(store.allocatedBytes).toBeLessThan(10_000)
  })

  it('spares what was used when room is made, and forgets it when it was not used again', () => {
    const { store, put, find } = storeOf(64 * 1024)
    const fill = (from: number, count: number, used?: string): void => {
      for (let index = from; index < from + count; index++) {
        put(`host-${index}.example`)
        if (used) find(used)?.countHit(1)
      }
    }
    put('used.example')
    put('unused.example')
    fill(0, 2000, 'used.example')
    expect(find('used.example')).toBeDefined()
    expect(find('unused.example')).toBeUndefined()
    expect(find('host-1999.example')).toBeDefined()
    fill(2000, 2000)
    expect(find('used.example')).toBeUndefined()
    expect(store.entries + store.evictions).toBe(4002)
  })

  it('makes room when everything was used', () => {
    const { store, put, find } = storeOf(64 * 1024)
    for (let index = 0; index < 700; index++) {
      put(`host-${index}.example`)
      for (const held of store.all()) held.countHit(1)
      expect(find(`host-${index}.example`)).toBeDefined()
    }
    expect(store.evictions).toBeGreaterThan(50)
    expect(store.allocatedBytes).toBeLessThanOrEqual(64 * 1024)
  })

  it('does not spare what is of no use any more', () => {
    const { put, find } = storeOf(64 * 1024, (held) => held.storedMs === 5)
    put('old.example', 1, { storedMs: 5 })
    for (let index = 0; index < 1000; index++) {
      put(`host-${index}.example`)
      find('old.example')?.countHit(1)
    }
    expect(find('old.example')).toBeUndefined()
  })

  it('does not take an answer larger than a segment, and forgets the one before it', () => {
    const { store, put, find } = storeOf(64 * 1024)
    put('a.example', 1)
    put('a.example', 1000)
    expect(find('a.example')).toBeUndefined()
    expect(store).toMatchObject({ entries: 0, bytes: 0 })
  })

  it('takes the largest message there is when the memory allows', () => {
    const { put, read } = storeOf(4 << 20)
    const wire = put('a.example', 4090)
    expect(wire.length).toBeGreaterThan(65_000)
    expect(read('a.example')).toEqual(withIdZero(wire))
  })

  it.each([64 * 1024, 100_000, 1 << 20])(
    'keeps within %d octets and its promises in a long random life',
    (bytesMax) => {
      const next = randomNumbers(bytesMax)
      const { store, put, find, read } = storeOf(bytesMax)
      const last = new Map<string, Uint8Array>()
      for (let step = 0; step < 3_000; step++) {
        const name = `${'x'.repeat(next() % 40)}${next() % 2000}.example`
        const found = find(name)
        if (next() % 100 === 0 && found) {
          store.remove(found)
          last.delete(name)
        } else if (found && next() % 3 > 0) found.countHit(1)
        else last.set(name, withIdZero(put(name, next() % 50 === 0 ? next() % 300 : 1 + (next() % 4))))
        if (next() % 2500 === 0) {
          store.clear()
          last.clear()
        }
        // What is found is right, or is not found at all.
        const wire = read(name)
        if (wire) expect(Buffer.compare(wire, last.get(name)!)).toBe(0)
      }
      expect(store.allocatedBytes).toBeLessThanOrEqual(bytesMax)
      const all = Array.from(store.all(), (held) => ({
        size: held.size,
        name: MessageView.over(held.message)!.questionName,
      }))
      expect(all.length).toBe(store.entries)
      expect(all.reduce((sum, { size }) => sum + size, 0)).toBe(store.bytes)
      for (const { name } of all) expect(read(name)).toEqual(last.get(name))
    },
  )
})
