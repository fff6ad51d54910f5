import type { TProperties } from 'typebox'
import { Type } from 'typebox'

/** One page of a list that is ordered by a key: the entries after a key. */
export interface KeysetPage {
  /** The key of the last entry of the previous page; undefined for the first page. */
  readonly after?: string | undefined
  readonly limit: number
}

const MAX_PAGE = 200

export const pageQuery = (more: TProperties = {}) =>
  Type.Object(
    {
      limit: Type.Optional(
        Type.Integer({
          minimum: 1,
          maximum: MAX_PAGE,
          default: 50,
          description: 'The largest number of entries in a page.',
        }),
      ),
      after: Type.Optional(
        Type.String({
          maxLength: 512,
          pattern: '^[^\\u0000]*$',
          'x-rule': 'must be the value of next in a previous page',
        }),
      ),
      ...more,
    },
    { additionalProperties: false },
  )

/** A page of entries. */
export const pageOf = <Entry extends Parameters<typeof Type.Array>[0]>(entry: Entry) =>
  Type.Object({
    items: Type.Array(entry),
    next: Type.Union([Type.String(), Type.Null()], {
      description: 'The value of `after` for the next page; null on the last page.',
    }),
  })

/** Reads a page of entries, and one more, which shows whether another page follows. */
export async function readPage<Entry>(
  { limit = 50, after }: Partial<KeysetPage>,
  read: (page: KeysetPage) => Promise<readonly Entry[]>,
  keyOf: (entry: Entry) => string,
): Promise<{ items: Entry[]; next: string | null }> {
  const entries = await read({ after, limit: limit + 1 })
  const items = entries.slice(0, limit)
  const last = items.at(-1)
  return { items, next: entries.length > limit && last !== undefined ? keyOf(last) : null }
}
