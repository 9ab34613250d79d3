import { readFile } from 'node:fs/promises'

/** The files of the page, by the path they are served at. */
export type PageFiles = Readonly<Record<string, { readonly type: string; readonly text: string }>>

const TYPES: Readonly<Record<string, string>> = {
  'index.html': 'text/html; charset=utf-8',
  'page.css': 'text/css; charset=utf-8',
  'icon.svg': 'image/svg+xml',
  'page.js': 'text/javascript; charset=utf-8',
}

/** The build puts the text of the files here as one JSON object; from the sources they are read where they are. */
export async function pageFiles(): Promise<PageFiles> {
  const built = process.env.HEARTH_OPERATOR_PAGE
  const texts = built === undefined ? await readTexts() : (JSON.parse(built) as Readonly<Record<string, string>>)
  return Object.fromEntries(
    Object.entries(TYPES).map(([name, type]) => [
      name === 'index.html' ? '/' : `/${name}`,
      { type, text: texts[name]! },
    ]),
  )
}

async function readTexts(): Promise<Readonly<Record<string, string>>> {
  const read = (name: string): Promise<string> => readFile(new URL(`../page/${name}`, import.meta.url), 'utf8')
  return Object.fromEntries(await Promise.all(Object.keys(TYPES).map(async (name) => [name, await read(name)])))
}
