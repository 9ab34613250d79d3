import { describe, expect, it } from 'vitest'
import { zoneFaults } from '../../src/dns/zone-faults.ts'
import { parseZoneText } from '../../src/dns/zone-text.ts'

const faults = (text: string): string[] => {
  const { records, problems } = parseZoneText(text, { name: 'home.example', ttl: 300 })
  expect(problems).toEqual([])
  return zoneFaults('home.example', records).map(({ index, problem }) => `${index}: ${problem}`)
}

describe('records that do not go together', () => {
  it.each([
    ['a A 192.0.2.1\nA A 192.0.2.2\na AAAA fd00::1\nb CNAME a\n@ SOA a b 1 2 3 4 5', []],
    ['a A 192.0.2.1\nA CNAME b', ['1: a name with a CNAME can have nothing else']],
    ['a CNAME b\na CNAME c', ['1: a name with a CNAME can have nothing else']],
    ['a CNAME b\na TXT x', ['1: a name with a CNAME can have nothing else']],
    ['@ CNAME b', ['0: the top of a zone cannot be an alias']],
    ['a SOA a b 1 2 3 4 5', ['0: an SOA below the top of the zone']],
    ['@ SOA a b 1 2 3 4 5\n@ SOA a b 2 2 3 4 5', ['1: a second SOA for this name']],
    ['a DNAME b\na DNAME c', ['1: a second DNAME for this name']],
  ])('%s', (text, expected) => {
    expect(faults(text)).toEqual(expected)
  })

  it('many records of one name', () => {
    const text = Array.from({ length: 510 }, (_, index) => `a A 192.0.${index >> 8}.${index & 255}`).join('\n')
    expect(faults(text)).toEqual(['500: more than 500 records of one name'])
  })
})
