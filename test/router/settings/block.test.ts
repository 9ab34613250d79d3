import { describe, expect, it } from 'vitest'
import { parseSettings } from '../../../src/core/settings.ts'
import { BLOCK_SETTINGS, blockConfigOf } from '../../../src/router/settings/block.ts'
import { settingsFiles } from '../../../src/router/settings/values.ts'

const configOf = (text: string) =>
  blockConfigOf(parseSettings(BLOCK_SETTINGS, text, 'b.yaml'), settingsFiles('/etc/hearth')).block

const LISTS = 'lists: [ { name: ads, file: ads.txt }, { name: adult, file: /var/adult.txt } ]\n'

describe('block', () => {
  it('blocks nothing without lists', () => {
    expect(configOf('answer: zero')).toBeUndefined()
  })

  it('all lists hold for everybody unless told otherwise; paths are relative to the settings', () => {
    expect(configOf(LISTS)).toEqual({
      lists: [
        { name: 'ads', file: '/etc/hearth/ads.txt' },
        { name: 'adult', file: '/var/adult.txt' },
      ],
      everybody: ['ads', 'adult'],
      groups: [],
      allow: [],
      allowFiles: [],
      answer: 'nxdomain',
      ttlS: 60,
      cloaking: true,
    })
  })

  it('groups have lists, and an answer of their own when they want one', () => {
    const config = configOf(`${LISTS}everybody: []
groups:
  - { name: kids, clients: [192.168.1.64/26], lists: [adult], answer: refused }
  - { name: guests, clients: [192.168.2.0/24], lists: [ads] }
allow: ["*.example.org"]
allow-files: [good.txt]
answer: zero
ttl: 1500ms
cloaking: false
`)
    expect(config).toMatchObject({
      everybody: [],
      groups: [
        { name: 'kids', clients: ['192.168.1.64/26'], lists: ['adult'], answer: 'refused' },
        { name: 'guests', clients: ['192.168.2.0/24'], lists: ['ads'], answer: 'zero' },
      ],
      allow: ['example.org'],
      allowFiles: ['/etc/hearth/good.txt'],
      ttlS: 2,
      cloaking: false,
    })
  })

  it.each([
    [`${LISTS}everybody: [add]`, 'b.yaml:2:13 everybody.0: there is no list add (did you mean `ads`?)'],
    [`${LISTS}groups: [ { name: kids, clients: [lan], lists: [porn] } ]`, 'there is no list porn (known: ads, adult)'],
    ['everybody: [ads]', 'there is no list ads (see block.lists)'],
    ['lists: [ { name: ads, file: a }, { name: ads, file: b } ]', 'lists.1.name: ads is there twice'],
    ['lists: [ { name: My List, file: a } ]', 'expected lower-case letters, digits and hyphens'],
    [`${LISTS}answer: nothing`, 'expected nxdomain, zero or refused'],
  ])('%s is refused', (text, problem) => expect(() => configOf(text)).toThrow(problem))
})
