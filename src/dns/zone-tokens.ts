/** Zone-file text as entries of tokens (RFC 1035 §5.1): what is quoted, escaped, bracketed and commented is sorted out here. */

export interface Token {
  /** Without the quotes around it; escapes are still as written. */
  readonly text: string
  readonly isQuoted: boolean
  /** Both counted from 1. */
  readonly line: number
  readonly column: number
}

/** One record or directive. */
export interface Entry {
  readonly tokens: readonly Token[]
  /** The owner is left out: it is that of the entry before. */
  readonly startsBlank: boolean
}

/** Ends the reading of one entry: where, what is wrong, and what to write instead. */
export class Misread extends Error {
  readonly at: Pick<Token, 'line' | 'column'>
  readonly hint: string | undefined

  constructor(at: Pick<Token, 'line' | 'column'>, problem: string, hint?: string) {
    super(problem)
    this.at = at
    this.hint = hint
  }
}

/** The longest data, written as hexadecimal in groups of four, needs as many. */
const ENTRY_TOKENS_MAX = 32_768

/** The entries in their order, a Misread in the place of one that cannot be told apart. */
export function* entriesOf(text: string): Generator<Entry | Misread> {
  const scanner = new Scanner(text)
  while (!scanner.isAtEnd) {
    try {
      const entry = scanner.entry()
      if (entry.tokens.length > 0) yield entry
    } catch (error) {
      if (!(error instanceof Misread)) throw error
      yield error
      scanner.skipLine()
    }
  }
}

class Scanner {
  readonly #text: string
  #at = 0
  #line = 1
  #lineStart = 0

  constructor(text: string) {
    this.#text = text
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length
  }

  /** Up to the end of the line, or of the last line when brackets join several. Each turn takes at least one character. */
  entry(): Entry {
    const tokens: Token[] = []
    const startsBlank = isBlank(this.#text[this.#at])
    let opened: Pick<Token, 'line' | 'column'> | undefined
    while (!this.isAtEnd) {
      const character = this.#text[this.#at]!
      if (character === '\n') {
        this.#newLine()
        if (!opened) break
      } else if (character === ';') this.#skipComment()
      else if (isBlank(character)) this.#at++
      else if (character === '(') {
        if (opened) throw new Misread(this.#place(), 'a second "(" before the first one ends', 'write one pair')
        opened = this.#place()
        this.#at++
      } else if (character === ')') {
        if (!opened) throw new Misread(this.#place(), 'a ")" without "("', 'quote it, or write \\) when it is meant')
        opened = undefined
        this.#at++
      } else {
        if (tokens.length >= ENTRY_TOKENS_MAX) throw new Misread(this.#place(), `more than ${ENTRY_TOKENS_MAX} words`)
        tokens.push(this.#token())
      }
    }
    if (opened) throw new Misread(opened, 'this "(" never ends', 'write ")" after the last value')
    return { tokens, startsBlank }
  }

  skipLine(): void {
    this.#skipComment()
    if (!this.isAtEnd) this.#newLine()
  }

  #token(): Token {
    const { line, column } = this.#place()
    const start = this.#at
    let text = ''
    let quote: Pick<Token, 'line' | 'column'> | undefined
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at]!
      if (character === '\n') break
      if (character === '\\') {
        const next = this.#text[this.#at + 1]
        if (next === undefined || next === '\n') throw new Misread(this.#place(), 'nothing follows this "\\"')
        text += character + next
        this.#at++
      } else if (character === '"') quote = quote ? undefined : this.#place()
      else if (!quote && (isBlank(character) || ';()'.includes(character))) break
      else text += character
    }
    if (quote) throw new Misread(quote, 'this quote is not closed on its line', 'write " at its end, \\" inside')
    return { text, isQuoted: this.#text[start] === '"', line, column }
  }

  #place(): Pick<Token, 'line' | 'column'> {
    return { line: this.#line, column: this.#at - this.#lineStart + 1 }
  }

  #newLine(): void {
    this.#at++
    this.#line++
    this.#lineStart = this.#at
  }

  #skipComment(): void {
    const end = this.#text.indexOf('\n', this.#at)
    this.#at = end < 0 ? this.#text.length : end
  }
}

function isBlank(character: string | undefined): boolean {
  return character === ' ' || character === '\t' || character === '\r'
}
