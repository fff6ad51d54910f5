/*
 * A backup is gzipped text: a header line; the rows of every table, referenced tables first; the positions of the
 * sequences; an end line with the number of rows. Rows are in Postgres' own JSON format.
 *   {"format":"registry-manager backup 1","at":"…","migrations":["…",…]}
 *   row accounts {"id":"…",…}
 *   sequence tag_revisions 17
 *   end 1
 */

const FORMAT = 'registry-manager backup 1'
const LINE = /^(row|sequence|end) (?:([a-z0-9_]+) )?([^]*)$/

export type Line =
  | { readonly kind: 'row'; readonly table: string; readonly json: string }
  | { readonly kind: 'sequence'; readonly name: string; readonly last: string }
  | { readonly kind: 'end'; readonly rows: number }

/** The first line: the migrations that had run on the database. */
export function formatHeader(migrations: readonly string[]): string {
  return JSON.stringify({ format: FORMAT, at: new Date().toISOString(), migrations })
}

/** The migrations of the first line; undefined when it is not the header of a backup. */
export function parseHeader(line: string): readonly string[] | undefined {
  try {
    const { format, migrations } = JSON.parse(line)
    return format === FORMAT ? migrations : undefined
  } catch {
    return undefined
  }
}

export function formatLine(line: Line): string {
  if (line.kind === 'end') return `end ${line.rows}`
  if (line.kind === 'sequence') return `sequence ${line.name} ${line.last}`
  // JSON has line ends between tokens only, where a space means the same. Source: RFC 8259 §2 and §7.
  return `row ${line.table} ${line.json.replaceAll('\n', ' ')}`
}

export function parseLine(text: string): Line {
  const [, kind, name = '', rest = ''] = LINE.exec(text) ?? []
  if (kind === 'row' && name !== '') return { kind, table: name, json: rest }
  if (kind === 'sequence' && name !== '') return { kind, name, last: rest }
  if (kind === 'end' && /^\d+$/.test(rest)) return { kind, rows: Number(rest) }
  throw new Error('the backup has an unrecognized line: it was changed, or a later version wrote it')
}

/** Splits a stream into lines. */
export async function* splitLines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const piece of pieces) {
    // Searches the new piece only: a line of megabytes arrives in hundreds of pieces.
    const [first = '', ...others] = decoder.decode(piece, { stream: true }).split('\n')
    rest += first
    for (const next of others) {
      yield rest
      rest = next
    }
  }
  if (rest !== '') yield rest
}
