/*
 * A backup is gzip over lines of text: a header; the rows of every table, each table after those that it refers to;
 * where the sequences are; an end with the number of rows. A row is as Postgres writes it as JSON.
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

/** The first line, of what had brought the schema to where it was. */
export function formatHeader(migrations: readonly string[]): string {
  return JSON.stringify({ format: FORMAT, at: new Date().toISOString(), migrations })
}

/** The migrations that the first line tells of; undefined when it is no such line. */
export function parseHeader(line: string): readonly string[] | undefined {
  try {
    const { format, migrations } = JSON.parse(line)
    return format === FORMAT ? migrations : undefined
  } catch {
    return undefined
  }
}

/** Any other line. */
export function formatLine(line: Line): string {
  if (line.kind === 'end') return `end ${line.rows}`
  if (line.kind === 'sequence') return `sequence ${line.name} ${line.last}`
  // Between its tokens JSON may have line ends, within them it has none.
  return `row ${line.table} ${line.json.replaceAll('\n', ' ')}`
}

export function parseLine(text: string): Line {
  const [, kind, name = '', rest = ''] = LINE.exec(text) ?? []
  if (kind === 'row' && name !== '') return { kind, table: name, json: rest }
  if (kind === 'sequence' && name !== '') return { kind, name, last: rest }
  if (kind === 'end' && /^\d+$/.test(rest)) return { kind, rows: Number(rest) }
  throw new Error('the backup has a line that is none of a backup')
}

/** The lines of a text that comes in pieces. */
export async function* splitLines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const piece of pieces) {
    // Only what is new is searched: a line of megabytes comes in hundreds of pieces.
    const [first = '', ...others] = decoder.decode(piece, { stream: true }).split('\n')
    rest += first
    for (const next of others) {
      yield rest
      rest = next
    }
  }
  if (rest !== '') yield rest
}
