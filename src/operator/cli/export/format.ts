import type { NewDevice } from '../../delegation/device.ts'

/** How devices and their keys are handed out: to factory systems, or one directory for each router. */
export const FORMATS = ['json', 'jsonl', 'csv', 'openwrt'] as const
export type Format = (typeof FORMATS)[number]
export type TextFormat = Exclude<Format, 'openwrt'>

/** What every router needs beside its own name and key. */
export interface Service {
  readonly directory: string
  /** PEM, when the roots are our own. */
  readonly trust?: string
}

/** A text format as the pieces of one file, so that a million devices never are in memory at once. */
export function textFormat(
  format: TextFormat,
  { directory }: Service,
): { readonly head: string; readonly foot: string; record(device: NewDevice, isFirst: boolean): string } {
  const object = ({ name, eab }: NewDevice): string => JSON.stringify({ name, directory, eab })
  switch (format) {
    case 'json':
      return { head: '[\n', foot: '\n]\n', record: (device, isFirst) => `${isFirst ? '' : ',\n'}${object(device)}` }
    case 'jsonl':
      return { head: '', foot: '', record: (device) => `${object(device)}\n` }
    case 'csv':
      return {
        head: 'name,directory,eab_kid,eab_key\r\n',
        foot: '',
        record: ({ name, eab }) => `${[name, directory, eab.kid, eab.key].map(cell).join(',')}\r\n`,
      }
  }
}

/** RFC 4180. */
function cell(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** Files of one router, by name: the identity part of its settings, and the files that part names (design §5). */
export function routerFiles({ name, eab }: NewDevice, { directory, trust }: Service): Readonly<Record<string, string>> {
  const lines = [
    '# The identity of this router, for its hearth.yaml. Paths are relative to that file.',
    'identity:',
    `  name: ${name}`,
    '  solution: acme-delegation',
    '  acme-delegation:',
    `    directory: ${JSON.stringify(directory)}`,
    ...(trust === undefined ? [] : ['    trust: operator-root.pem']),
    `    eab: { kid: ${eab.kid}, key-file: eab.key }`,
  ]
  return {
    'identity.yaml': `${lines.join('\n')}\n`,
    'eab.key': `${eab.key}\n`,
    ...(trust === undefined ? {} : { 'operator-root.pem': trust }),
  }
}
