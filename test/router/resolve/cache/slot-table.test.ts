import { expect, it } from 'vitest'
import { SlotTable } from '../../../../src/router/resolve/cache/slot-table.ts'
import { randomNumbers } from '../../../dns/hostile.ts'

/** As the store searches: along the slots until a free one. */
function placesOf({ slots, mask }: SlotTable, hash: number): number[] {
  const places: number[] = []
  for (let slot = hash & mask; slots[2 * slot + 1] !== 0; slot = (slot + 1) & mask)
    if (slots[2 * slot] === hash) places.push(slots[2 * slot + 1]!)
  return places.sort((a, b) => a - b)
}

it('holds what was added, moved and not removed, also when many hashes fall on one place', () => {
  const next = randomNumbers(20)
  const table = new SlotTable(1 << 20)
  const model: { hash: number; place: number }[] = []
  let places = 0
  for (let step = 0; step < 20_000; step++) {
    // Few hashes with few low bits: long runs of neighbours.
    const hash = ((next() % 64) << 24) | (next() % 512)
    const index = next() % Math.max(1, model.length)
    const known = model[index]
    if (!known || (next() % 5 < 3 && model.length < 3000)) {
      table.add(hash, ++places)
      model.push({ hash, place: places })
    } else if (next() % 2 === 0) {
      table.move(known.hash, known.place, ++places)
      known.place = places
    } else {
      table.remove(known.hash, known.place)
      model.splice(index, 1)
    }
    if (step % 100 > 0) continue
    expect(table.used).toBe(model.length)
    const wanted = model.filter((entry) => entry.hash === hash).map(({ place }) => place)
    expect(placesOf(table, hash)).toEqual(wanted.sort((a, b) => a - b))
  }
  for (const { hash, place } of model) expect(placesOf(table, hash)).toContain(place)
})

it('grows by doubling up to its bound, and then says that it is full', () => {
  const table = new SlotTable(32 * 1024)
  expect(table.bytes).toBe(8 * 1024)
  let added = 0
  while (!table.isFull) table.add(Math.imul(++added, 0x9e37_79b1), added)
  expect(table.bytes).toBe(32 * 1024)
  expect(added).toBe(3072)
  for (let place = 1; place <= added; place++) expect(placesOf(table, Math.imul(place, 0x9e37_79b1))).toEqual([place])
})
