import { choice, duration, filePath, flag, text } from '../../core/fields.ts'
import { checked, list, optional, type SettingsOf, section } from '../../core/settings.ts'
import { closest, didYouMean } from '../../core/units.ts'
import { BLOCK_ANSWERS } from '../resolve/block/policy.ts'
import { ALLOW_FILES_MAX, type BlockingOptions, LISTS_MAX } from '../resolve/block.ts'
import { domainTree } from './domain-tree.ts'
import { clientPrefixes, type SettingsFiles } from './values.ts'

const GROUPS_MAX = 32
const ALLOWED_NAMES_MAX = 1000

const shortName = (description: string) =>
  text(description, {
    pattern: /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/,
    expected: 'lower-case letters, digits and hyphens',
    max: 32,
  })
const listNames = (description: string) => list(description, shortName(''), { max: LISTS_MAX })

const LIST_SETTINGS = section('one list', {
  name: shortName('short name, for groups, logs and extended errors'),
  file: filePath(
    'lines as in a hosts file (exactly that name), names and ||name^ (with all below), @@||name^ (never), in any mixture; read again when it changes',
  ),
})

const GROUP_SETTINGS = section('clients with lists of their own, instead of those for everybody', {
  name: shortName('short name'),
  clients: clientPrefixes('who they are; the first group that has a client counts'),
  lists: listNames('names of the lists that hold for them'),
  answer: optional(choice('as block.answer, for them', BLOCK_ANSWERS)),
})

export const BLOCK_SETTINGS = checked(
  section('names that are not answered: extended error 15, or 17 where the lists are those of a group', {
    lists: list('files with names', LIST_SETTINGS, { max: LISTS_MAX, default: [] }),
    everybody: optional(listNames('names of the lists that hold for clients of no group; all of them when left out')),
    groups: list('clients with lists of their own', GROUP_SETTINGS, { max: GROUPS_MAX, default: [] }),
    allow: list('names never blocked, with all below', domainTree(''), { max: ALLOWED_NAMES_MAX, default: [] }),
    'allow-files': list('files with names never blocked', filePath(''), { max: ALLOW_FILES_MAX, default: [] }),
    answer: choice('NXDOMAIN, the addresses 0.0.0.0 and ::, or REFUSED', BLOCK_ANSWERS, { default: 'nxdomain' }),
    ttl: duration('how long clients keep that', { default: '60s', min: '1s', max: '1d' }),
    cloaking: flag(
      'look at aliases (CNAME) in answers too, NODATA instead of NXDOMAIN; groups then have cached answers of their own',
      {
        default: true,
      },
    ),
  }),
  ({ lists, everybody = [], groups }, complain) => {
    const known = lists.map(({ name }) => name)
    complainOfTwice(known, ['lists'], complain)
    complainOfTwice(
      groups.map(({ name }) => name),
      ['groups'],
      complain,
    )
    const check = (names: readonly string[], path: readonly (string | number)[]): void => {
      for (const [index, name] of names.entries())
        if (!known.includes(name))
          complain(
            [...path, index],
            `there is no list ${name}`,
            didYouMean(closest(name, known)) ?? (known.length > 0 ? `known: ${known.join(', ')}` : 'see block.lists'),
          )
    }
    check(everybody, ['everybody'])
    for (const [index, group] of groups.entries()) check(group.lists, ['groups', index, 'lists'])
  },
)

function complainOfTwice(
  names: readonly string[],
  path: readonly string[],
  complain: (path: readonly (string | number)[], problem: string) => void,
): void {
  const twice = names.findIndex((name, index) => names.indexOf(name) < index)
  if (twice >= 0) complain([...path, twice, 'name'], `${names[twice]} is there twice`)
}

/** Absent: nothing is blocked. */
export function blockConfigOf(
  {
    lists,
    everybody,
    groups,
    allow,
    'allow-files': allowFiles,
    answer,
    ttl,
    cloaking,
  }: SettingsOf<typeof BLOCK_SETTINGS>,
  files: SettingsFiles,
): { readonly block?: BlockingOptions } {
  if (lists.length === 0) return {}
  return {
    block: {
      lists: lists.map(({ name, file }) => ({ name, file: files.at(file) })),
      everybody: everybody ?? lists.map(({ name }) => name),
      groups: groups.map((group) => ({ ...group, answer: group.answer ?? answer })),
      allow,
      allowFiles: allowFiles.map((file) => files.at(file)),
      answer,
      ttlS: Math.ceil(ttl / 1000),
      cloaking,
    },
  }
}
